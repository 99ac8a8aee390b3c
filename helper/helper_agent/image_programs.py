"""Programs of the image, run in the image: as hostile as the image, so set apart from the helper by all we have

The image's tree is their root folder, with a /proc, /dev, /run and /tmp of their own; they can work on the image's
files, and that is all they can do: no disk, no port, no other process, no mount is in sight, and they keep no
capability to get at one (`helper_agent.sandbox`). With the program, all that it has started ends.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from helper_agent import spawn
from helper_agent.run import OUTPUT_MAX, PATH, CommandFailed, Completed, how_ended
from helper_agent.sandbox import Sandbox

CAPTURE_MAX = 1 << 20
"""Bytes of stdout, and of stderr, that are kept: the first ones."""
ENVIRONMENT: Mapping[str, str] = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C", "TZ": "UTC0", "TERM": "dumb"}


def run(
    tree: str,
    argv: Sequence[str],
    *,
    input: bytes | None = None,  # noqa: A002  the name subprocess.run has
    timeout: float = 120.0,
    ok: Collection[int] = (0,),
    env: Mapping[str, str] | None = None,
    devices: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> Completed:
    """Run `argv` with the image mounted below `tree` as its root folder, and wait for it

    Args:
        input: bytes for stdin; without it stdin is empty
        timeout: seconds, then it is killed with all that it has started
        ok: exit codes that are no failure
        env: variables on top of PATH, HOME and a fixed locale; nothing is inherited
        devices: device nodes that it may use, for a boot loader's installer
        links: symlinks below /dev: path -> target

    Raises:
        CommandFailed: not found, a signal, an exit code not in `ok`, or out of time
        TaskError: E-AGENT, namespaces are not permitted here
    """
    printed = {1: bytearray(), 2: bytearray()}

    def take(stream: int, part: bytes) -> None:
        room = CAPTURE_MAX - len(printed[stream])
        printed[stream] += part[:room]

    apart = Sandbox(tree=tree, inside=True, devices=tuple(devices), links=tuple((links or {}).items()))
    program = spawn.Program(tuple(argv), {**ENVIRONMENT, **(env or {})}, apart, input or b"", timeout)
    try:
        returncode = spawn.run(program, take)
    except spawn.NotStarted as error:
        raise CommandFailed(argv, f"could not be started in the image ({error})") from None
    except spawn.OutOfTime:
        raise CommandFailed(argv, f"still running after {timeout:g} s, killed", _tail(printed)) from None
    if returncode not in ok:
        raise CommandFailed(argv, how_ended(returncode), _tail(printed), returncode)
    return Completed(returncode, bytes(printed[1]), bytes(printed[2]))


def _tail(printed: Mapping[int, bytes | bytearray]) -> str:
    text = (printed[2] + b"\n" + printed[1]).decode("utf-8", "replace").strip()
    return text if len(text) <= OUTPUT_MAX else f"[...] {text[-OUTPUT_MAX:]}"
