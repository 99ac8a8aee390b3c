"""The bytes of an image's file, wherever they come from

A `Content` can be looked at from its start (`peek`), be read once from start to end (`pieces`), or be had as a regular
file with random access (`whole`). Which of them is cheap differs: a file on the node has all, a download has its first
bytes long before its last ones, and what a program prints comes once. Decorators (`integrity.checked.Checked`, the
unpacking of compressed files) are contents too.
"""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType

from helper_host.errors import ProviderError
from helper_host.image.formats.base import read_into

PIECE = 1 << 20
"""Most bytes of a piece."""
PEEK = 0x8800
"""Bytes at the start in which formats are recognised; the farthest signature is ISO 9660's in its sector 16."""

Progress = Callable[[int, int], None]
"""Gets bytes done and in all; 0 in all where that isn't known."""
Piece = bytes | bytearray | memoryview
"""Valid until the next one is asked for."""


class Content(ABC):
    """A context manager, or `close()`; used by one thread at a time

    Every method that reads raises ProviderError: E-IMAGE-FETCH, E-IMAGE-REFUSED, E-INTERRUPTED, E-CACHE.
    """

    name: str
    """For people: a path, or a URL without what is secret in it."""
    file_name: str
    """Last part of path or URL, as a SHA256SUMS file names it."""
    path: str = ""
    """The file on this node that an administrator has put there; "" for what comes from elsewhere."""
    size: int | None
    """Bytes of the file; None: known at its end only."""
    at_hand: bool = False
    """Whether `whole` has nothing to wait for."""
    sha256: str = ""
    """Hash in lower-case hexadecimal of all bytes, where it was already computed from just these bytes; else ""."""

    def __enter__(self) -> Content:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def peek(self, length: int) -> bytes:
        """The first `length` bytes, fewer only if the file has no more; waits for them, and consumes nothing"""

    def peek_end(self, length: int) -> bytes:  # noqa: ARG002
        """The last `length` bytes, fewer if the file has no more; b"" where they aren't at hand"""
        return b""

    @abstractmethod
    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        """All bytes in order, none of the pieces empty; may be asked for once, and not together with `whole`"""

    @abstractmethod
    def whole(self, progress: Progress, cancel: threading.Event) -> int:
        """A descriptor of a regular file with all the bytes; waits for them. It belongs to this object"""

    def check_unchanged(self) -> None:  # noqa: B027  most can't change
        """E-IMAGE-REFUSED when the bytes that `whole` gave were changed since"""

    @abstractmethod
    def close(self) -> None:
        """Give up what is held, end what runs; harmless when repeated"""


class FileContent(Content):
    """A regular file on the node, open for reading; takes the descriptor over"""

    at_hand = True

    def __init__(self, fd: int, path: str, *, name: str = "", sha256: str = "") -> None:
        self._fd = fd
        self.path = path
        self.name = name or path
        self.file_name = os.path.basename(path)
        self.sha256 = sha256
        status = os.fstat(fd)
        self.size: int = status.st_size
        # no ctime: it changes too when the file's name is taken over by a newer image, which is fine
        self._stamp = (status.st_size, status.st_mtime_ns)

    def peek(self, length: int) -> bytes:
        return os.pread(self._fd, length, 0)

    def peek_end(self, length: int) -> bytes:
        return os.pread(self._fd, length, max(self.size - length, 0))

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        buffer = memoryview(bytearray(PIECE))
        position = 0
        while position < self.size:
            if cancel.is_set():
                raise interrupted()
            part = buffer[: min(PIECE, self.size - position)]
            try:
                count = read_into(self._fd, part, position)
            except OSError as error:
                raise unreadable(self.name, error) from None
            if count != len(part):
                break
            yield part
            position += count
        self.check_unchanged()

    def whole(self, progress: Progress, cancel: threading.Event) -> int:  # noqa: ARG002
        return self._fd

    def check_unchanged(self) -> None:
        status = os.fstat(self._fd)
        if (status.st_size, status.st_mtime_ns) != self._stamp:
            raise ProviderError(
                "E-IMAGE-REFUSED",
                f"The image {self.name} was changed while it was used",
                "replace images by renaming a complete new file over the old one",
            )

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def unreadable(name: str, error: OSError) -> ProviderError:
    """E-IMAGE-REFUSED for a file that the kernel doesn't give us"""
    return ProviderError("E-IMAGE-REFUSED", f"The image {name} can't be read ({error.strerror})", "look at its storage")


def interrupted() -> ProviderError:
    """E-INTERRUPTED"""
    return ProviderError("E-INTERRUPTED", "The deployment was interrupted", "start it again")
