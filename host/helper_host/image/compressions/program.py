"""What runs in the confined child: packed bytes on stdin, plain ones on stdout, and an exit code that says how it went

Run as `python3 -I -S program.py ORDER STATUS` (two descriptor numbers): it imports all it needs, shuts itself in the
jail, and only then reads its first byte. So the jail is empty: no program, no library, no file, and of the system calls
those that get memory and move bytes between two pipes.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys

ROOT = os.path.abspath(__file__).removesuffix("/helper_host/image/compressions/program.py")
READ = 256 * 1024
"""Bytes taken from the pipe at once."""
DAMAGED, TRUNCATED, TOO_LARGE, DEFECT, NO_JAIL = 65, 66, 67, 70, 125
"""Exit codes."""


def main(order_fd: int, status_fd: int) -> None:
    """Import, be shut in, unpack"""
    # the pipe must outlive everything but the jail's completion
    status = fcntl.fcntl(status_fd, fcntl.F_DUPFD_CLOEXEC, 512)
    try:
        with open(order_fd, "rb") as file:
            order = json.load(file)
        sys.path += [ROOT, *order["path"]]
        from helper_host import jail
        from helper_host.image.compressions import COMPRESSIONS
        from helper_host.image.compressions.base import Damaged, TooLarge, Truncated

        unpack = COMPRESSIONS[order["compression"]].load()
        # whoever stops reading ends us
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        jail.shut(jail.Spec(**order["jail"]), status)
    except BaseException as error:
        report = {"step": getattr(error, "step", "unpacker"), "reason": getattr(error, "reason", repr(error)[:200])}
        os.write(status, json.dumps(report).encode() + b"\n")
        os._exit(NO_JAIL)
    os.close(status)
    try:
        unpack(lambda: os.read(0, READ), write)
        code = 0
    except Damaged:
        code = DAMAGED
    except Truncated:
        code = TRUNCATED
    except (TooLarge, MemoryError):
        code = TOO_LARGE
    except BaseException:
        code = DEFECT
    os._exit(code)


def write(data: bytes | memoryview) -> None:
    """All of `data` to stdout"""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
