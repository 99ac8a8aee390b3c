"""A content that was compressed, unpacked on its way by a confined child"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterator

from helper_host.errors import ProviderError
from helper_host.image import unpacking
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.compressions import Compression
from helper_host.image.content import Content, Piece, Progress
from helper_host.image.formats.base import refused


class Unpacked(Content):
    """The plain bytes of `content`, which it takes over"""

    def __init__(
        self, content: Content, compression: Compression, spec: CacheSpec, child: unpacking.Child | None = None
    ) -> None:
        """
        Args:
            spec: where `whole` may put them
            child: one for `compression` that was started before; it is taken over
        """
        self._content = content
        self._compression = compression
        self._spec = spec
        self._fd = -1
        self.name, self.file_name, self.path = content.name, content.file_name, content.path
        self.size = None
        self.packed = content
        self.taken = 0
        """Bytes of the packed file that `pieces` has taken so far."""
        self.pid = 0
        """The child's, while there is one."""
        self._child = child
        self._stream: Generator[memoryview | bytes] | None = None
        self._first: Piece | None = None
        """What `peek` has taken from the stream."""
        self._cancel = _Cancel()

    def peek(self, length: int) -> bytes:
        """No more than the first piece has; by then the rest is on its way, as far as there is room for it"""
        if self._stream is None:
            self._first = next(self._begin(), b"")
        assert self._first is not None, "pieces() comes last"
        return bytes(self._first[:length])

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        self._cancel.event = cancel
        stream = self._stream or self._begin()
        first, self._first = self._first, None
        try:
            if first:
                yield first
            yield from stream
        finally:
            stream.close()

    def lend(self) -> Callable[[], None]:
        """Pieces of full length stay as they are until this is called for each but `ZEROS`, in their order

        No more than `SLOTS` - 2 of them may be held at once.
        """
        self._child = self._child or unpacking.Child(self._compression)
        self._child.lends = True
        return self._child.give_back

    def whole(self, progress: Progress, cancel: threading.Event) -> int:
        """A file in the cache's folder that has no name; progress is that of the packed bytes"""
        if self._fd < 0:
            from helper_host.image.cache.spool import spool

            self._fd = spool(
                self.pieces(cancel),
                self._spec,
                self.name,
                lambda _done, _total: progress(self.taken, self._content.size or 0),
                cancel,
            )
            self.size = os.fstat(self._fd).st_size
        return self._fd

    def close(self) -> None:
        self.stop()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._content.close()

    def stop(self) -> None:
        """Close all but the packed content"""
        if self._stream is not None:
            self._stream.close()
        elif self._child is not None:
            self._child.discard()

    def _begin(self) -> Generator[memoryview | bytes]:
        self._child = self._child or unpacking.Child(self._compression)
        self._stream = unpacking.unpacked(
            self._packed, self._compression, self._cancel, self._problem, child=self._child, watch=self._watch
        )
        return self._stream

    def _packed(self, stop: threading.Event) -> Iterator[Piece]:
        for piece in self._content.pieces(stop):
            yield piece
            self.taken += len(piece)

    def _problem(self, cause: str, remedy: str) -> ProviderError:
        return refused(f"The image {self.name} can't be used: its {cause}", remedy)

    def _watch(self, pid: int) -> None:
        self.pid = pid


class _Cancel:
    """Somebody's event, as soon as there is somebody"""

    event: threading.Event | None = None

    def is_set(self) -> bool:
        """Whether it is set"""
        return self.event is not None and self.event.is_set()
