"""An image onto a disk: only what is not zero, the head last

The disk is filled in pieces by a few threads: each takes the next piece, reads or unpacks it, finds the zeros in it and
writes the rest. Reading, unpacking and writing all happen outside of Python's lock, so the threads run side by side,
and memory is bounded by a buffer each.

The disk's first MiB and its last sectors (where GPT keeps its second table) are kept back until everything else is on
stable storage: a disk that was written by half never boots.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.image.checksum import interrupted
from helper_host.image.disk import HEAD, STEP, TAIL, Disk, wipe_head, write_failed
from helper_host.image.formats import Extent
from helper_host.image.image import Image

MIB = 1 << 20
PIECE = 2 * MIB
"""Bytes a thread handles at once; at least the largest qcow2 cluster."""
THREADS = 2
BLOCK = 4096
"""Zeros are found in steps of this many bytes, on a disk that needn't be told about them."""
COARSE = 256 * 1024
"""The same where each run of zeros costs a system call that reaches the device."""
WRITEBACK = 32 * MIB
"""Writeback is started each time so many bytes were written."""

Progress = Callable[[int, int], None]


class WriteResult(NamedTuple):
    """What was done"""

    size: int
    """Bytes of the image's disk."""
    written: int
    """Bytes that were not zero and got written."""
    seconds: float


class Writer:
    """Writes one image to one disk, in three steps: `check()`, `write()`, `write_head()`"""

    def __init__(self, image: Image, disk: Disk, *, clear_rest: bool = True) -> None:
        """`clear_rest`: zero the disk behind the image's end, too, where it isn't known to be zero"""
        self._image = image
        self._disk = disk
        self._clear_rest = clear_rest
        self._checked = False
        self._kept: list[tuple[int, bytes]] = []

    def check(self, cancel: threading.Event | None = None) -> None:
        """Everything that can be known before the first byte is written; the disk isn't touched

        Raises:
            ProviderError: E-DISK-SMALL, E-IMAGE-REFUSED, E-INTERRUPTED
        """
        image, disk = self._image, self._disk
        if image.virtual_size > disk.size:
            raise ProviderError(
                "E-DISK-SMALL",
                f"The image needs a disk of {-(-image.virtual_size // MIB)} MiB, this one has {disk.size // MIB} MiB",
                "give the instance a larger disk",
            )
        image.check_map(cancel or threading.Event())
        self._checked = True

    def write(self, progress: Progress, cancel: threading.Event) -> WriteResult:
        """Everything but head and tail, then wait until it is on stable storage

        `progress` gets bytes done and in all, from several threads but one at a time.

        Raises:
            ProviderError: those of `check()`, E-DISK-IO; the disk's head is wiped then unless nothing was written
        """
        if not self._checked:
            self.check(cancel)
        started = time.monotonic()
        copy = _Copy(self._image, self._disk, progress, cancel, self._clear_rest)
        try:
            written = copy.run()
            self._disk.sync()
        except OSError as error:
            raise write_failed(self._disk, error) from None
        self._image.check_unchanged()
        self._kept = copy.kept
        return WriteResult(self._image.virtual_size, written, time.monotonic() - started)

    def write_head(self) -> None:
        """What was kept back, durably: from now on the disk is the image

        Raises:
            ProviderError: E-DISK-IO
        """
        try:
            for offset, data in reversed(self._kept):
                self._disk.write(data, offset)
            self._disk.sync()
        except OSError as error:
            raise write_failed(self._disk, error) from None
        self._kept = []


class _Copy:
    """One run of a writer"""

    def __init__(self, image: Image, disk: Disk, progress: Progress, cancel: threading.Event, clear_rest: bool) -> None:
        self.kept: list[tuple[int, bytes]] = []
        self._image = image
        self._disk = disk
        self._progress = progress
        self._cancel = cancel
        self._total = image.virtual_size
        self._tail = max(HEAD, self._total - TAIL)
        self._clear_rest = clear_rest
        self._known_zero = False
        self._done = 0
        self._written = 0
        self._unflushed = 0
        self._error: BaseException | None = None
        self._take = threading.Lock()
        self._count = threading.Lock()

    def run(self) -> int:
        """Copy; bytes written"""
        self._prepare()
        pieces = self._pieces()
        threads = [threading.Thread(target=self._work, args=(pieces,), daemon=True) for _ in range(THREADS - 1)]
        for thread in threads:
            thread.start()
        self._work(pieces)
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error
        return self._written

    def _prepare(self) -> None:
        """Take the old content away, all of it where that needs no writing, head and tail in any case"""
        if self._disk.is_empty():
            self._known_zero = True
            return
        wipe_head(self._disk)
        self._known_zero = self._disk.clear(self._disk.size if self._clear_rest else self._total, self._check)

    def _check(self) -> None:
        if self._cancel.is_set():
            raise interrupted()

    def _pieces(self) -> Iterator[list[Extent]]:
        """The disk's extents, gathered to pieces of at most `PIECE` bytes; a long run of zeros is a piece of its own"""
        piece: list[Extent] = []
        room = PIECE
        for extent in self._extents():
            alone = extent.source is None and extent.length >= COARSE
            if piece and (alone or extent.length > room):
                yield piece
                piece, room = [], PIECE
            piece.append(extent)
            room -= extent.length
            if alone:
                yield piece
                piece, room = [], PIECE
        if piece:
            yield piece

    def _extents(self) -> Iterator[Extent]:
        """The image's extents, large ones cut up, and the rest of the disk"""
        for extent in self._image.extents():
            source = extent.source
            if not isinstance(source, int) or extent.length <= PIECE:
                yield extent
                continue
            for start in range(0, extent.length, PIECE):
                yield Extent(extent.offset + start, min(PIECE, extent.length - start), source + start)
        if self._clear_rest and not self._known_zero and self._disk.size > self._total:
            yield Extent(self._total, self._disk.size - self._total, None)

    def _work(self, pieces: Iterator[list[Extent]]) -> None:
        """What each thread does: the next piece, until there is none or anything failed"""
        buffer = bytearray(PIECE)
        try:
            while self._error is None:
                self._check()
                with self._take:
                    piece = next(pieces, None)
                if piece is None:
                    return
                self._copy(piece, buffer)
                self._account(sum(extent.length for extent in piece))
        except BaseException as error:
            self._error = self._error or error

    def _copy(self, piece: list[Extent], buffer: bytearray) -> None:
        """One piece from the image to the disk"""
        offset = piece[0].offset
        if piece[0].source is None and len(piece) == 1:
            self._zero(offset, piece[0].length)
            return
        view = memoryview(buffer)
        length = 0
        for extent in piece:
            self._image.read(extent.source, view[length : length + extent.length])
            length += extent.length
        block = BLOCK if self._known_zero else COARSE
        for start, end, zero in runs(buffer, length, block):
            if zero:
                self._zero(offset + start, end - start)
            else:
                self._store(offset + start, view[start:end])

    def _zero(self, offset: int, length: int) -> None:
        """Zeros: nothing to do where the disk has them already"""
        if self._known_zero:
            return
        for start in range(offset, offset + length, STEP):
            self._check()
            self._disk.zero(start, min(STEP, offset + length - start))

    def _store(self, offset: int, data: memoryview) -> None:
        """Data: to the disk, but for what belongs to head and tail"""
        end = offset + len(data)
        first, last = min(max(offset, HEAD), end), max(min(end, self._tail), offset)
        if first > offset:
            self.kept.append((offset, bytes(data[: first - offset])))
        if last < end and end > first:
            last = max(first, last)
            self.kept.append((last, bytes(data[last - offset :])))
        if last > first:
            self._disk.write(data[first - offset : last - offset], first)

    def _account(self, length: int) -> None:
        with self._count:
            self._done += length
            self._progress(min(self._done, self._total), self._total)


def runs(buffer: bytearray, length: int, block: int) -> Iterator[tuple[int, int, bool]]:
    """The buffer's first `length` bytes as runs `(start, end, is zero)`, in steps of `block`"""
    zeros = bytes(block)
    start, state = 0, None
    for position in range(0, length, block):
        zero = buffer.startswith(zeros[: length - position], position)
        if zero is not state:
            if state is not None:
                yield start, position, state
            start, state = position, zero
    if state is not None:
        yield start, length, state
