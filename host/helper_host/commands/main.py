"""What every script does around its command: signals, and errors as a last line that a person can act on"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from types import FrameType
from typing import NoReturn

from helper_host.errors import ProviderError
from helper_host.log import printable

COMMANDS = {
    "create": "create",
    "export": "export",
    # not a module's name in Python
    "import": "import_",
    "rename": "rename",
    "verify": "verify",
}
"""Ganeti's scripts and their modules."""
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(name: str, environ: Mapping[str, str] = os.environ) -> NoReturn:
    """Run the command behind the script `name` and exit; only that one is imported"""
    code = guarded(name, environ)
    # a log that is full is no failure, but Python would make one (120) of its own last flush
    for stream in ("stdout", "stderr"):
        try:
            getattr(sys, stream).flush()
        except OSError:
            setattr(sys, stream, None)
    sys.exit(code)


def guarded(name: str, environ: Mapping[str, str]) -> int:
    """The exit code of the command behind the script `name`"""
    return guarded_call(name, lambda: importlib.import_module(f"helper_host.commands.{COMMANDS[name]}").run(environ))


def guarded_call(name: str, command: Callable[[], None]) -> int:
    """The exit code of `command`: 1 after any error, whose line is then the last one on stderr"""
    try:
        for number in ENDINGS:
            signal.signal(number, _interrupt)
        os.umask(0o077)
        # our memory and environment hold passwords
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        command()
        return 0
    except ProviderError as error:
        line = str(error)
    except MemoryError:
        line = "E-NODE: The node has no memory left; see what takes it, and run it again"
    except BaseException as error:
        # a defect of ours: the traceback is for whoever mends it
        import traceback

        traceback.print_exc()
        line = f"E-INTERNAL: {name}: {type(error).__name__}: {error}; report this with the lines above"
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.write(f"{printable(line)}\n")
        sys.stderr.flush()
    return 1


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    # once: a second signal must not end the tidying up after the first
    for other in ENDINGS:
        signal.signal(other, signal.SIG_IGN)
    raise ProviderError(
        "E-INTERRUPTED", f"The script was ended by {signal.Signals(number).name}", "run it again if it is still wanted"
    )
