"""Bytes that come once, from a server or a program: looked at, handed on, or put into a file for a while"""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Iterator

from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import PIECE, Content, Piece, Progress


class Streamed(Content):
    """What `_blocks` gives, once"""

    def __init__(self, name: str, file_name: str, spec: CacheSpec) -> None:
        self.name, self.file_name = name, file_name
        self.size: int | None = None
        self._spec = spec
        self._head: list[bytes] = []
        self._cancel = threading.Event()
        """Whoever takes the bytes has it; whoever only looks at the first ones is in the main thread."""
        self._rest: Iterator[bytes] | None = None
        self._fd = -1

    @abstractmethod
    def _blocks(self) -> Iterator[bytes]:
        """All bytes; looks at `_cancel` while it waits"""

    def _begin(self) -> Iterator[bytes]:
        if self._rest is None:
            self._rest = self._blocks()
        return self._rest

    def peek(self, length: int) -> bytes:
        rest = self._begin()
        while sum(map(len, self._head)) < length and (block := next(rest, b"")):
            self._head.append(block)
        return b"".join(self._head)[:length]

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        self._cancel = cancel
        rest = self._begin()
        done = 0
        while self._head or (block := next(rest, b"")):
            if self._head:
                block = self._head.pop(0)
            done += len(block)
            for start in range(0, len(block), PIECE):
                yield memoryview(block)[start : start + PIECE] if len(block) > PIECE else block
        self.size = done

    def whole(self, progress: Progress, cancel: threading.Event) -> int:
        from helper_host.image.cache.spool import spool

        if self._fd < 0:
            total = self.size or 0
            self._fd = spool(self.pieces(cancel), self._spec, self.name, progress, cancel, total=total)
            self._stop()
        return self._fd

    def _stop(self) -> None:
        """End what gives the bytes"""

    def close(self) -> None:
        self._stop()
        self._head.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
