"""An image onto a disk

The disk is filled in pieces by a few threads: each takes the next piece, reads or unpacks it, and puts it onto the
target, which finds the zeros in it. Reading, unpacking and writing all happen outside of Python's lock, so the threads
run side by side, and memory is bounded by a buffer each. Where image and disk lie on one filesystem that can share
blocks (xfs, btrfs), a raw image is shared instead of copied.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.image.content import interrupted
from helper_host.image.disk import HEAD, STEP, TAIL, Disk, write_failed
from helper_host.image.formats import Extent, Packed
from helper_host.image.image import Image
from helper_host.image.target import COARSE, Target

MIB = 1 << 20
PIECE = 2 * MIB
"""Bytes a thread handles at once; at least the largest qcow2 cluster."""
THREADS = 2
SHARE_ALIGNMENT = 64 * 1024
"""Blocks are shared in multiples of this, the largest block size of a filesystem."""

Progress = Callable[[int, int], None]


class WriteResult(NamedTuple):
    """What was done"""

    size: int
    """Bytes of the image's disk."""
    written: int
    """Bytes that were not zero and got written."""
    seconds: float
    shared: int = 0
    """Bytes that the disk's file now shares with the image's (reflink)."""


class Writer:
    """Writes one image to one disk, in three steps: `check()`, `write()`, `write_head()`"""

    def __init__(self, image: Image, disk: Disk, *, clear_rest: bool = True) -> None:
        """`clear_rest`: zero the disk behind the image's end, too, where it isn't known to be zero"""
        self._image = image
        self._disk = disk
        self._clear_rest = clear_rest
        self._checked = False
        self._target: Target | None = None

    def check(self, cancel: threading.Event | None = None) -> None:
        """Everything that can be known before the first byte is written; the disk isn't touched

        Raises:
            ProviderError: E-DISK-SMALL, E-IMAGE-REFUSED, E-INTERRUPTED
        """
        image, disk = self._image, self._disk
        if image.virtual_size > disk.size:
            needed = -(-image.virtual_size // MIB)
            raise ProviderError(
                "E-DISK-SMALL",
                f"The image needs a disk of {needed} MiB, this one has {disk.size // MIB} MiB",
                "give the instance a larger disk",
            )
        image.check_map(cancel or threading.Event())
        self._checked = True

    def write(self, progress: Progress, cancel: threading.Event) -> WriteResult:
        """Everything but head and tail, then wait until it is on stable storage

        `progress` gets bytes done and in all, from several threads but one at a time.

        Raises:
            ProviderError: those of `check()`, E-DISK-IO; the disk then has neither its old head nor the image's
        """
        if not self._checked:
            self.check(cancel)
        started = time.monotonic()
        copy = _Copy(self._image, self._disk, progress, cancel, self._clear_rest)
        try:
            copy.run()
            self._disk.sync()
        except OSError as error:
            raise write_failed(self._disk, error) from None
        self._image.check_unchanged()
        self._target = copy.target
        return WriteResult(self._image.virtual_size, copy.target.written, time.monotonic() - started, copy.shared)

    def write_head(self) -> None:
        """What was kept back, durably: from now on the disk is the image

        Raises:
            ProviderError: E-DISK-IO
        """
        assert self._target is not None, "write() comes first"
        self._target.finish()


class _Copy:
    """One run of a writer"""

    def __init__(self, image: Image, disk: Disk, progress: Progress, cancel: threading.Event, clear_rest: bool) -> None:
        self.target = Target(disk, image.virtual_size, self._check)
        self.shared = 0
        self._image = image
        self._disk = disk
        self._progress = progress
        self._cancel = cancel
        self._clear_rest = clear_rest
        self._total = image.virtual_size
        self._done = 0
        self._error: BaseException | None = None
        self._take = threading.Lock()
        self._count = threading.Lock()

    def run(self) -> None:
        """Copy everything, raise the first error"""
        known_zero = self.target.prepare(self._disk.size if self._clear_rest else self._total)
        self._share()
        pieces = self._pieces()
        threads = [threading.Thread(target=self._work, args=(pieces,), daemon=True) for _ in range(THREADS - 1)]
        for thread in threads:
            thread.start()
        self._work(pieces)
        for thread in threads:
            thread.join()
        if self._error is not None:
            raise self._error
        if self._clear_rest and not known_zero and self._disk.size > self._total:
            self.target.zero(self._total, self._disk.size - self._total)

    def _check(self) -> None:
        if self._cancel.is_set():
            raise interrupted()

    def _share(self) -> None:
        """Share the blocks between head and tail, if that can be; an error means that it can't"""
        if not self._image.is_raw:
            return
        end = (self._image.virtual_size - TAIL) // SHARE_ALIGNMENT * SHARE_ALIGNMENT
        for start in range(HEAD, end, STEP):
            self._check()
            length = min(STEP, end - start)
            try:
                self._disk.share(self._image.fileno(), start, length)
            except OSError:
                return
            self.shared += length
            self._report(length)

    def _pieces(self) -> Iterator[list[Extent]]:
        """The image's extents, in pieces of at most `PIECE` bytes; a long run of zeros is one of its own"""
        piece: list[Extent] = []
        room = PIECE
        for extent in self._extents():
            alone = extent.source is None and extent.length >= COARSE
            gap = piece and piece[-1].offset + piece[-1].length != extent.offset
            if piece and (alone or gap or extent.length > room):
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
        """The image's extents without what is shared, large ones cut up"""
        spans = ((0, HEAD), (HEAD + self.shared, self._total)) if self.shared else ((0, self._total),)
        for extent in self._image.extents():
            source = extent.source
            if isinstance(source, Packed):
                yield extent
                continue
            for start, end in spans:
                first, last = max(extent.offset, start), min(extent.offset + extent.length, end)
                step = PIECE if source is not None else max(last - first, 1)
                for offset in range(first, last, step):
                    position = None if source is None else source + offset - extent.offset
                    yield Extent(offset, min(step, last - offset), position)

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
                self._report(sum(extent.length for extent in piece))
        except BaseException as error:
            self._error = self._error or error

    def _copy(self, piece: list[Extent], buffer: bytearray) -> None:
        """One piece from the image to the disk"""
        if piece[0].source is None and len(piece) == 1:
            self.target.zero(piece[0].offset, piece[0].length)
            return
        view = memoryview(buffer)
        length = 0
        for extent in piece:
            self._image.read(extent.source, view[length : length + extent.length])
            length += extent.length
        self.target.put(piece[0].offset, buffer, length)

    def _report(self, length: int) -> None:
        with self._count:
            self._done += length
            self._progress(self._done, self._total)
