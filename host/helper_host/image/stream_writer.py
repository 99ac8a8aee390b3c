"""A raw image onto a disk while it comes

Fetching and unpacking go on in their own threads and processes; here the bytes are gathered into pieces, a thread finds
the zeros in each and puts the rest onto the target. Where the image ends is known only there, so the last pieces are
held until it is: the sectors that GPT's second header may be in are kept back like the disk's head, and written when
all has come and was found right. Memory is bounded by the few pieces that are under way.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

from helper_host.errors import ProviderError
from helper_host.image.compressions.base import PIECE
from helper_host.image.content import Piece, interrupted
from helper_host.image.disk import Disk, write_failed
from helper_host.image.formats.base import SECTOR
from helper_host.image.stream_image import TAIL_PEEK, StreamImage
from helper_host.image.target import Target
from helper_host.image.unpacking import ZEROS
from helper_host.image.writer import MIB, Progress, WriteResult

Held = tuple[int, bytearray | memoryview | bytes, int]
"""Offset in the image, buffer, length: a piece, which is put at once and longer than what is kept back at the end."""
HELD = 2
"""Pieces that are held until there are more: the last one may be short."""
QUEUED = 2
"""Pieces that wait for the thread that writes."""


class StreamWriter:
    """Writes one image to one disk, in three steps as `Writer` does: `check()`, `write()`, `write_head()`"""

    def __init__(self, image: StreamImage, disk: Disk, *, clear_rest: bool = True) -> None:
        """`clear_rest`: zero the disk behind the image's end, too, where it isn't known to be zero"""
        self._image = image
        self._disk = disk
        self._clear_rest = clear_rest
        self._target: Target | None = None

    def check(self, cancel: threading.Event | None = None) -> None:  # noqa: ARG002
        """What is known before the first byte is written; the disk isn't touched

        Raises:
            ProviderError: E-DISK-SMALL
        """
        needed = self._image.virtual_size
        if needed is not None and needed > self._disk.size:
            raise too_small(self._disk, f"a disk of {-(-needed // MIB)} MiB")

    def write(self, progress: Progress, cancel: threading.Event) -> WriteResult:
        """Everything but head and tail, then wait until it is on stable storage

        Raises:
            ProviderError: E-DISK-SMALL, E-DISK-IO, and all that is found wrong with the image, which may be as late as
                at its last byte; the disk then has neither its old head nor the image's
        """
        self.check()
        started = time.monotonic()
        pass_ = _Pass(self._image, self._disk, progress, cancel, self._clear_rest)
        try:
            size = pass_.run()
            self._disk.sync()
        except OSError as error:
            raise write_failed(self._disk, error) from None
        self._target = pass_.target
        return WriteResult(size, pass_.target.written, time.monotonic() - started)

    def write_head(self) -> None:
        """What was kept back, durably: from now on the disk is the image

        Raises:
            ProviderError: E-DISK-IO
        """
        assert self._target is not None, "write() comes first"
        self._target.finish()


def too_small(disk: Disk, needed: str) -> ProviderError:
    """E-DISK-SMALL"""
    return ProviderError(
        "E-DISK-SMALL",
        f"The image needs {needed}, this one has {disk.size // MIB} MiB",
        "give the instance a larger disk",
    )


class _Pass:
    """One run of a writer"""

    def __init__(
        self, image: StreamImage, disk: Disk, progress: Progress, cancel: threading.Event, clear_rest: bool
    ) -> None:
        self.target = Target(disk, disk.size, self._check)
        self._image = image
        self._disk = disk
        self._progress = progress
        self._cancel = cancel
        self._clear_rest = clear_rest
        self._offset = image.frame.offset if image.frame is not None else 0

    def run(self) -> int:
        """All of it; bytes of the image's disk"""
        known_zero = self.target.prepare(self._disk.size if self._clear_rest else None)
        give_back = self._image.lend()
        putter = _Putter(self.target, self._check, give_back)
        stream = self._image.pieces(self._cancel)
        try:
            with putter:
                held = self._fill(stream, putter, lent=give_back is not None)
        finally:
            # a generator's own tidying up, now and not when somebody collects it
            close = getattr(stream, "close", None)
            if close is not None:
                close()
        end = self._finish(held)
        if self._clear_rest and not known_zero and self._disk.size > end:
            self.target.zero(end, self._disk.size - end)
        return end

    def _check(self) -> None:
        if self._cancel.is_set():
            raise interrupted()

    def _fill(self, stream: Iterator[Piece], putter: _Putter, *, lent: bool) -> list[Held]:
        """All pieces but the last ones, which it returns"""
        room = self._disk.size - self._offset
        held: list[Held] = []
        buffer, filled, done = putter.buffer(), 0, 0

        def hold(offset: int, full: bytearray | memoryview | bytes) -> None:
            held.append((offset, full, PIECE))
            if len(held) > HELD:
                first, oldest, length = held.pop(0)
                putter.put(self._offset + first, oldest, length)

        for piece in stream:
            self._check()
            if done + len(piece) > room:
                raise too_small(self._disk, "a larger disk")
            done += len(piece)
            if not filled and (piece is ZEROS or (lent and len(piece) == PIECE)):
                hold(done - PIECE, piece)
                self._progress(*self._image.done(done))
                continue
            view = memoryview(piece)
            while view:
                step = min(PIECE - filled, len(view))
                buffer[filled : filled + step] = view[:step]
                view = view[step:]
                filled += step
                if filled == PIECE:
                    hold(done - len(view) - PIECE, buffer)
                    buffer, filled = putter.buffer(), 0
            self._progress(*self._image.done(done))
        # what was to end may have ended as if that were all
        self._check()
        if filled:
            held.append((done - filled, buffer, filled))
        return held

    def _finish(self, held: list[Held]) -> int:
        """The last pieces, and what surrounds the image; where all of it ends"""
        # whoever unpacked them may change them: what is looked at here is what is written
        ends = [(offset, bytearray(part[:count])) for offset, part, count in held]
        last, buffer = ends[-1] if ends else (0, bytearray())
        size = last + len(buffer)
        tail = b"".join(bytes(part[-TAIL_PEEK:]) for _, part in ends[-2:])
        self._image.check_end(tail[-TAIL_PEEK:], size)
        # a last part of a sector is filled up with zeros
        whole = -(-size // SECTOR) * SECTOR
        buffer += bytes(whole - size)
        frame = self._image.frame
        head, behind = (frame.head(whole), frame.tail(whole)) if frame is not None else (b"", b"")
        end = self._offset + whole + len(behind)
        if end > self._disk.size:
            raise too_small(self._disk, f"a disk of {-(-end // MIB)} MiB")
        self.target.ends_at(end)
        for offset, part in ends:
            self.target.put(self._offset + offset, part, len(part))
        if head:
            self.target.put(0, bytearray(head), len(head))
        if behind:
            self.target.put(self._offset + whole, bytearray(behind), len(behind))
        return end


class _Putter:
    """A thread that puts pieces onto the target; a context manager, whose end waits for it and raises its error"""

    def __init__(self, target: Target, check: Callable[[], None], give_back: Callable[[], None] | None) -> None:
        """`give_back` is called for each memoryview that was put"""
        self._target = target
        self._check = check
        self._give_back = give_back
        self._error: BaseException | None = None
        self._work: queue.Queue[Held | None] = queue.Queue(QUEUED)
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="put", daemon=True)

    def __enter__(self) -> _Putter:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None:
            # what waits is not worth being written any more
            self._error = self._error or error
        self._work.put(None)
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def buffer(self) -> bytearray:
        """One of `PIECE` bytes, whose content is anything"""
        try:
            return self._free.get_nowait()
        except queue.Empty:
            return bytearray(PIECE)

    def put(self, offset: int, buffer: bytearray | memoryview | bytes, length: int) -> None:
        """Hand a piece over, waiting while there are too many; raises what went wrong with an earlier one"""
        while True:
            if self._error is not None:
                raise self._error
            self._check()
            if isinstance(buffer, bytes) and self._target.is_zero:
                return  # most pieces of most images: they needn't wake anybody
            try:
                self._work.put((offset, buffer, length), timeout=0.2)
                return
            except queue.Full:
                continue

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            offset, buffer, length = item
            try:
                if self._error is not None:
                    pass
                elif isinstance(buffer, bytes):
                    self._target.zero(offset, length)
                else:
                    self._target.put(offset, buffer, length)
            except BaseException as error:
                self._error = self._error or error
            if isinstance(buffer, bytearray):
                self._free.put(buffer)
            elif isinstance(buffer, memoryview) and self._give_back is not None:
                self._give_back()
