"""A content that was compressed, unpacked on its way by a confined child"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

from helper_host.errors import ProviderError
from helper_host.image import unpacking
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.compressions import Compression
from helper_host.image.content import Content, Piece, Progress
from helper_host.image.formats.base import refused


class Unpacked(Content):
    """The plain bytes of `content`, which it takes over"""

    def __init__(self, content: Content, compression: Compression, spec: CacheSpec) -> None:
        """`spec` says where `whole` may put them"""
        self._content = content
        self._compression = compression
        self._spec = spec
        self._fd = -1
        self._head = b""
        self.name, self.file_name, self.path = content.name, content.file_name, content.path
        self.size = None
        self.packed = content
        self.taken = 0
        """Bytes of the packed file that `pieces` has taken so far."""
        self.pid = 0
        """The child's, while there is one."""
        self.room: Callable[[], bytearray] | None = None
        """Gives the buffers of all pieces of full length, which then belong to whoever gets them."""

    def peek(self, length: int) -> bytes:
        if len(self._head) < length:
            packed = self._content.peek(unpacking.PIPE)
            complete = len(packed) < unpacking.PIPE
            self._head = unpacking.head(packed, complete, length, self._compression, self._problem)
        return self._head[:length]

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        return unpacking.unpacked(
            self._packed, self._compression, cancel, self._problem, watch=self._watch, room=self.room
        )

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
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._content.close()

    def _packed(self, stop: threading.Event) -> Iterator[Piece]:
        for piece in self._content.pieces(stop):
            yield piece
            self.taken += len(piece)

    def _problem(self, cause: str, remedy: str) -> ProviderError:
        return refused(f"The image {self.name} can't be used: its {cause}", remedy)

    def _watch(self, pid: int) -> None:
        self.pid = pid
