"""What runs in the confined child: packed bytes on stdin, plain ones on stdout, and an exit code that says how it went

Of a disk's bytes most are zeros. Those are found here, while they are in the processor's cache, and not sent but told,
see `base.ZEROS_FLAG`.

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
        from helper_host.image.compressions.base import PIECE, ZEROS_FLAG, Damaged, TooLarge, Truncated

        unpack = COMPRESSIONS[order["compression"]].load()
        records = Records(PIECE, ZEROS_FLAG)
        # whoever stops reading ends us
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        jail.shut(jail.Spec(**order["jail"]), status)
    except BaseException as error:
        report = {"step": getattr(error, "step", "unpacker"), "reason": getattr(error, "reason", repr(error)[:200])}
        os.write(status, json.dumps(report).encode() + b"\n")
        os._exit(NO_JAIL)
    os.close(status)
    try:
        code = 0
        try:
            unpack(lambda: os.read(0, READ), records)
        except Damaged:
            code = DAMAGED
        except Truncated:
            code = TRUNCATED
        except (TooLarge, MemoryError):
            code = TOO_LARGE
        # what came before it is good for a look at it
        records.end()
    except BaseException:
        code = DEFECT
    os._exit(code)


class Records:
    """Plain bytes to stdout; a `base.Output`"""

    def __init__(self, size: int, zeros_flag: int) -> None:
        self._flag = zeros_flag
        self._piece = bytearray(size)
        self._view = memoryview(self._piece)
        self._zeros = bytes(size)
        self._filled = 0

    def write(self, data: bytes) -> None:
        """The next bytes"""
        view = memoryview(data)
        while view:
            room = self.room()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            self.put(count)
            view = view[count:]

    def room(self) -> memoryview:
        """What is left of the piece"""
        return self._view[self._filled :]

    def put(self, count: int) -> None:
        """So many bytes more are in the piece"""
        self._filled += count
        if self._filled == len(self._piece):
            self._send(self._piece == self._zeros)

    def end(self) -> None:
        """There are no more"""
        if self._filled:
            self._send(zeros=False)

    def _send(self, zeros: bool) -> None:
        if zeros:
            write((self._filled | self._flag).to_bytes(4, "little"))
        else:
            write(self._filled.to_bytes(4, "little"))
            write(self._view[: self._filled])
        self._filled = 0


def write(data: bytes | memoryview) -> None:
    """All of `data` to stdout"""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
