"""The disk as something is written to it: only what is not zero, head and tail last

The disk's first MiB and the last sectors of what is written (where GPT keeps its second table) are kept back until
everything else is on stable storage: a disk that was written by half never boots.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from helper_host.image.disk import HEAD, STEP, TAIL, Disk, wipe_head, write_failed

BLOCK = 4096
"""Zeros are found in steps of this many bytes, on a disk that needn't be told about them."""
COARSE = 256 * 1024
"""The same where each run of zeros costs a system call that reaches the device."""
WRITEBACK = 32 << 20
"""Writeback is started each time so many bytes were written."""

ZEROS = bytes(COARSE)


class Target:
    """Takes pieces in any order, from several threads; OSError as the disk says"""

    def __init__(self, disk: Disk, end: int, check: Callable[[], None]) -> None:
        """`end`: where the data ends at most; `check` is called between long steps and may raise"""
        self.disk = disk
        self.written = 0
        """Bytes that were not zero."""
        self._tail = max(HEAD, end - TAIL)
        self._check = check
        self._known_zero = False
        self._kept: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()

    @property
    def is_zero(self) -> bool:
        """Whether zeros needn't be put"""
        return self._known_zero

    def ends_at(self, end: int) -> None:
        """Where the data ends after all, no later than was thought; before anything behind its tail's start is put"""
        self._tail = max(HEAD, end - TAIL)

    def prepare(self, length: int | None) -> bool:
        """Take the old content of the first `length` bytes away where that needs no writing, head and tail in any case

        None: nobody knows yet how many bytes are to go, and what is behind them has to stay.

        True: the range is known to be zero. False: `zero` has to be called for what is.
        """
        if self.disk.is_empty():
            self._known_zero = True
        else:
            wipe_head(self.disk)
            self._known_zero = length is not None and self.disk.clear(length, self._check)
        return self._known_zero

    def put(self, offset: int, buffer: bytearray | memoryview, length: int) -> None:
        """The buffer's first `length` bytes"""
        view = memoryview(buffer)
        for start, end, zero in runs(buffer, length, BLOCK if self._known_zero else COARSE):
            if zero:
                self.zero(offset + start, end - start)
            else:
                self._store(offset + start, view[start:end])

    def zero(self, offset: int, length: int) -> None:
        """Zeros: nothing to do where the disk has them already"""
        if self._known_zero:
            return
        for start in range(offset, offset + length, STEP):
            self._check()
            self.disk.zero(start, min(STEP, offset + length - start))

    def finish(self) -> None:
        """What was kept back, the disk's very start as the last, durably; all else is on stable storage already

        Raises:
            ProviderError: E-DISK-IO
        """
        try:
            for offset, data in sorted(self._kept, reverse=True):
                self.disk.write(data, offset)
            self.disk.sync()
        except OSError as error:
            raise write_failed(self.disk, error) from None
        self._kept = []

    def _store(self, offset: int, data: memoryview) -> None:
        """Data: to the disk, but for what belongs to head and tail"""
        end = offset + len(data)
        first = min(max(offset, HEAD), end)
        last = max(min(end, self._tail), first)
        for start, stop in ((offset, first), (last, end)):
            if stop > start:
                self._kept.append((start, bytes(data[start - offset : stop - offset])))
        if last > first:
            self.disk.write(data[first - offset : last - offset], first)
        self._account(len(data))

    def _account(self, length: int) -> None:
        """Count, and let writing begin while we go on, so that the sync at the end is short"""
        with self._lock:
            before = self.written
            self.written += length
        if before // WRITEBACK != (before + length) // WRITEBACK:
            self.disk.start_writeback()


def runs(buffer: bytearray | memoryview, length: int, block: int) -> Iterator[tuple[int, int, bool]]:
    """The buffer's first `length` bytes as runs `(start, end, is zero)`, in steps of `block`"""
    view, start, state = memoryview(buffer)[:length], 0, None
    for position in range(0, length, block):
        # by memcmp, which comparing a memoryview isn't
        zero = ZEROS.startswith(view[position : position + block])
        if zero is not state:
            if state is not None:
                yield start, position, state
            start, state = position, zero
    if state is not None:
        yield start, length, state
