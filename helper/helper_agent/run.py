"""The one way to run a command, on the node and in the helper

An argv list, never a shell; stdin closed or given as bytes; a fixed locale and a clean environment; a time limit; and a
failure that says what a person needs: which command (as one could paste it), how it ended, and what it printed.

`subprocess`, `shlex` and `signal` are imported when a command is run: together they cost an emulated guest a tenth of a
second, and many runs need no command at all.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from helper_agent.records import NamedTuple

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_MAX = 4096
"""Most characters of a failed command's output that are kept, its end."""


class Completed(NamedTuple):
    """How a command ended, and what it printed"""

    returncode: int
    """Exit code, one of those that were `ok`."""
    stdout: bytes
    """What it printed, as far as it was kept."""
    stderr: bytes
    """Its complaints, likewise."""

    @property
    def text(self) -> str:
        """stdout as text, undecodable bytes replaced"""
        return self.stdout.decode("utf-8", "replace")


NOT_FOUND = "not found"
"""`CommandFailed.reason` of a program that isn't there."""


class CommandFailed(Exception):
    """A command could not be started, ended with an unexpected code or signal, or ran out of time"""

    def __init__(self, argv: Sequence[str], reason: str, output: str = "", returncode: int | None = None) -> None:
        import shlex

        super().__init__(f"{shlex.join(argv)}: {reason}")
        self.argv = tuple(argv)
        self.reason = reason
        self.output = output
        self.returncode = returncode


def run(
    argv: Sequence[str],
    *,
    input: bytes | None = None,  # noqa: A002  the name subprocess.run has
    timeout: float = 120.0,
    ok: Collection[int] = (0,),
    env: Mapping[str, str] | None = None,
    pass_fds: Collection[int] = (),
) -> Completed:
    """Run `argv` and wait for it

    Args:
        input: bytes for stdin; without it stdin is closed
        timeout: seconds, then the command's whole process group is killed
        ok: exit codes that are no failure
        env: variables on top of PATH, HOME and a fixed locale; nothing is inherited
        pass_fds: descriptors the command may keep

    Raises:
        CommandFailed: not found, a signal, an exit code not in `ok`, or out of time
    """
    import subprocess
    from signal import SIGKILL

    environment = {"PATH": PATH, "HOME": "/", "LC_ALL": "C.UTF-8", "TZ": "UTC0", **(env or {})}
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    except FileNotFoundError:
        raise CommandFailed(argv, NOT_FOUND) from None
    except OSError as error:
        raise CommandFailed(argv, f"could not be started ({error.strerror})") from None
    try:
        stdout, stderr = process.communicate(input, timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, SIGKILL)
        stdout, stderr = process.communicate()
        raise CommandFailed(argv, f"still running after {timeout:g} s, killed", _tail(stdout, stderr)) from None
    except BaseException:
        os.killpg(process.pid, SIGKILL)
        process.wait()
        raise
    if process.returncode not in ok:
        raise CommandFailed(argv, how_ended(process.returncode), _tail(stdout, stderr), process.returncode)
    return Completed(process.returncode, stdout, stderr)


def how_ended(returncode: int) -> str:
    """`exit code 3` or `killed by SIGKILL` for a `returncode` as subprocess gives it"""
    if returncode >= 0:
        return f"exit code {returncode}"
    import signal

    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def _tail(stdout: bytes, stderr: bytes) -> str:
    text = (stderr + b"\n" + stdout).decode("utf-8", "replace").strip()
    return text if len(text) <= OUTPUT_MAX else f"[...] {text[-OUTPUT_MAX:]}"
