"""ganeti-instance-helper: what an administrator asks on a node

version       what is installed here, in one line: the same on all nodes, or one of them is behind
              (gnt-cluster command ganeti-instance-helper version)
check         whether the settings, every variant, the tasks, the helper image and the keyrings are in order
parameters    the table of OS parameters, in Markdown
settings      the commented example of config.toml
errors        the table of error codes, in Markdown
status        which deployments are under way on this node, how far they are, and how the last ones ended [--json]
watch         the deployment of an instance, or all on this node, with a live bar each, until they end [INSTANCE]
cache         the downloads that are kept here: list, prune, verify (cache --help)
task          what authors of tasks need: new, lint, list, show, run (task --help)
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn

from helper_agent import protocol
from helper_host import paths
from helper_host.commands import main as script
from helper_host.errors import CODES, ProviderError
from helper_host.http_failures import FetchError


def version() -> str:
    """Versions of node side, protocol and helper image, and the hashes of what is really there"""
    import hashlib

    from helper_host import helper_image, settings, tasks

    loaded = settings.load()
    folder = loaded.helper_image
    image = helper_image.load(folder)
    own = hashlib.sha256(b"".join(row.content or b"" for row in tasks.collect(loaded, image).shipped)).hexdigest()
    # the manifest has the hash of every part
    with open(os.path.join(folder, helper_image.MANIFEST), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return (
        f"ganeti-instance-helper {protocol.AGENT_VERSION}, protocol {protocol.PROTOCOL_VERSION}, "
        f"helper image {image.suite} {image.agent} sha256:{digest[:16]}, code sha256:{_code()[:16]}, "
        f"tasks sha256:{own[:16]}"
    )


def _code() -> str:
    """SHA-256 of the node side's source: two states of it may have the same version"""
    import hashlib
    from pathlib import Path

    top = Path(__file__).resolve().parent.parent
    total = hashlib.sha256()
    for path in sorted(top.rglob("*.py")):
        total.update(f"{path.relative_to(top)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def check() -> str:
    """Read everything that a deployment depends on"""
    import threading

    from helper_host import customisation, helper_image, hooks, settings
    from helper_host.image.integrity import evidence
    from helper_host.image.sources import program as programs
    from helper_host.progress import program as monitors

    try:
        files = sorted(os.listdir(os.path.join(paths.SETTINGS, settings.VARIANTS)))
    except FileNotFoundError:
        files = []
    names = [name.removesuffix(".toml") for name in files if name.endswith(".toml")]
    loaded = [settings.load(), *map(settings.load, names)]
    for folder in dict.fromkeys(each.helper_image for each in loaded):
        helper_image.verify(helper_image.load(folder), None, threading.Event())
    for each in loaded:
        customisation.check(each, helper_image.load(each.helper_image))
    for folder in dict.fromkeys(each.node_hooks for each in loaded if each.node_hooks):
        hooks.find(folder)
    for path in dict.fromkeys(each.progress_monitor for each in loaded if each.progress_monitor):
        monitors.check(path)
    for path in dict.fromkeys(path for each in loaded for path in each.image_programs.values()):
        programs.check_program(path)
    for path in dict.fromkeys(each.ca_file for each in loaded if each.ca_file):
        _check_authorities(path)
    for program in dict.fromkeys(each.qemu for each in loaded):
        if not os.access(program, os.X_OK):
            raise ProviderError("E-NODE", f"{program} is not there or can't be run", "install qemu-system-x86")
    for each in loaded:
        evidence.check_node(each)
    variants = f" and {len(names)} of variants" if names else ""
    return f"settings{variants}, tasks, helper image, QEMU, keyrings: in order"


def _check_authorities(path: str) -> None:
    from helper_host import http

    try:
        http.check_authorities(path)
    except FetchError as error:
        raise ProviderError("E-SETTINGS", f"Downloads {error.cause}", error.remedy) from None


def parameters() -> str:
    """The table of OS parameters"""
    from helper_host.ganeti import parameters

    return parameters.table().rstrip()


def settings() -> str:
    """The example file"""
    from helper_host.settings import example

    return example().rstrip()


def errors() -> str:
    """The table of error codes"""
    rows = [f"| `{code}` | {meaning} |" for code, meaning in {**CODES, **protocol.FAILURES}.items()]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


COMMANDS: Mapping[str, Callable[[], str]] = {
    "version": version,
    "check": check,
    "parameters": parameters,
    "settings": settings,
    "errors": errors,
}


def run(arguments: Sequence[str]) -> int:
    """The exit code; what was asked for is on stdout"""
    if arguments[:1] == ["task"]:
        from helper_host.commands import task

        return task.run(arguments[1:])
    if arguments[:1] == ["cache"]:
        from helper_host.commands import cache

        return cache.run(arguments[1:])
    if arguments[:1] == ["status"]:
        from helper_host.commands import status

        return status.run(arguments[1:])
    if arguments[:1] == ["watch"]:
        from helper_host.commands import watch

        return watch.run(arguments[1:])
    command = COMMANDS.get(arguments[0]) if len(arguments) == 1 else None
    if command is None:
        asked = arguments in (["-h"], ["--help"], ["help"])
        print(__doc__, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2

    def shown() -> None:
        text = command()
        with reader_may_leave():
            print(text)

    return script.guarded_call(arguments[0], shown)


@contextlib.contextmanager
def reader_may_leave() -> Iterator[None]:
    """`settings | head`: who has read enough of what is printed meanwhile is no failure"""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python's own last flush would fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> NoReturn:
    """For the script"""
    sys.exit(run(sys.argv[1:]))
