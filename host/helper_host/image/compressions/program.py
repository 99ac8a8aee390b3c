"""What runs in the confined child: packed bytes on stdin, plain ones on stdout, and an exit code that says how it went

Plain bytes go into memory that the reader has mapped, too, and only their lengths through the pipe. Of a disk's bytes
most are zeros. Those are found here, while they are in the processor's cache, and told, see `base.ZEROS_FLAG`.

Run as `python3 -I -S program.py ORDER STATUS` (two descriptor numbers): it imports all it needs, shuts itself in the
jail, and only then reads its first byte. So the jail is empty: no program, no library, no file, and of the system calls
those that get memory and move bytes between pipes.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import signal
import sys

ROOT = os.path.abspath(__file__).removesuffix("/helper_host/image/compressions/program.py")
READ = 256 * 1024
"""Bytes taken from the pipe at once."""
TOLD = 16 * 4
"""Bytes of records of zeros that are written at once: each wakes its reader."""
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
        # mapped before anything is read; the jail closes the descriptor
        records = Records(mmap.mmap(order["ring"], 0))
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
    """Plain bytes into the ring, and records of them to stdout; a `base.Output`"""

    def __init__(self, ring: mmap.mmap) -> None:
        from helper_host.image.compressions import base

        self._size, self._slots = base.PIECE, base.SLOTS
        self._flag, self._credits = base.ZEROS_FLAG, base.CREDITS
        self._zeros = bytes(self._size)
        self._ring = memoryview(ring)
        self._slot = 0
        self._free = self._slots
        self._filled = 0
        self._view = self._ring[: self._size]
        self._told = bytearray()
        """Records of zeros that were not written yet."""

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
        while not self._free:
            self._tell()
            self._free = len(os.read(self._credits, self._slots))
            if not self._free:
                os._exit(DEFECT)  # nobody reads any more
        return self._view[self._filled :]

    def put(self, count: int) -> None:
        """So many bytes more are in the piece"""
        self._filled += count
        if self._filled == self._size:
            # a comparison of memoryviews goes by elements, this by memcmp
            if self._zeros.startswith(self._view):
                self._filled = 0
                self._told += (self._size | self._flag).to_bytes(4, "little")
                if len(self._told) >= TOLD:
                    self._tell()
            else:
                self._send()

    def end(self) -> None:
        """There are no more"""
        if self._filled:
            self._send()
        self._tell()

    def _send(self) -> None:
        self._told += self._filled.to_bytes(4, "little")
        self._tell()
        self._filled = 0
        self._free -= 1
        self._slot = (self._slot + 1) % self._slots
        self._view = self._ring[self._slot * self._size :][: self._size]

    def _tell(self) -> None:
        write(self._told)
        self._told = bytearray()


def write(data: bytearray) -> None:
    """All of `data` to stdout"""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
