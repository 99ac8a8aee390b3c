"""An image with random access: its header checked, its bytes read through one descriptor"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType

from helper_host.image import formats
from helper_host.image.content import Progress, interrupted, unreadable
from helper_host.image.formats import Extent, Packed, Reader
from helper_host.image.formats.base import read_into
from helper_host.image.formats.names import AUTO
from helper_host.image.frame import Frame
from helper_host.image.integrity.checked import Checked


class Image:
    """A regular file that holds an image whose header was found safe; a context manager, or `close()`"""

    def __init__(
        self,
        content: Checked,
        image_format: str,
        progress: Progress,
        cancel: threading.Event,
        *,
        shown_as: str = "",
        frame: Frame | None = None,
    ) -> None:
        """Takes `content` over once it succeeds; waits until all of it is at hand

        Args:
            image_format: a format's name, or auto
            shown_as: what people call it, where that is more than the format (qcow2+xz)
            frame: what goes around it: it is one bare filesystem
        """
        self._content = content
        self._fd = content.whole(progress, cancel)
        self.name = content.name
        self.path = content.path
        self.file_size = content.size or 0
        self._reader: Reader = formats.open_reader(self._fd, self.file_size, image_format)
        self.format = shown_as or self._reader.format
        self.is_raw = self._reader.format == "raw" and frame is None
        """Whether the file's bytes are the disk's: what the kernel can share or copy by itself."""
        self.table = frame.name if frame is not None else ""
        """The partition table that was made around it: msdos or gpt."""
        if frame is not None:
            self._reader = self._framed(frame, declared=image_format != AUTO)
        self.virtual_size = self._reader.virtual_size

    def __enter__(self) -> Image:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when repeated"""
        self._content.close()

    def fileno(self) -> int:
        """The one descriptor"""
        return self._fd

    def _framed(self, frame: Frame, *, declared: bool) -> Reader:
        from helper_host.image.partitioning import bare, framed

        if not declared:
            bare.check(self._head(bare.PEEK))
        return framed.FramedReader(self._reader, frame)

    def _head(self, length: int) -> bytes:
        """The first bytes of what the file holds"""
        head = b""
        for extent in self._reader.extents():
            if len(head) >= length:
                break
            part = bytearray(extent.length if isinstance(extent.source, Packed) else min(extent.length, length))
            self.read(extent.source, memoryview(part))
            head += part
        return head[:length]

    def extents(self) -> Iterator[Extent]:
        """The disk's bytes in order, see `formats.Reader.extents`"""
        return self._reader.extents()

    def read(self, source: int | Packed | None, into: memoryview) -> None:
        """Bytes of an extent, or of a part of one whose source is a position

        Raises:
            ProviderError: E-IMAGE-REFUSED, when they can't be read or unpacked
        """
        try:
            if source is None:
                into[:] = bytes(len(into))
            elif isinstance(source, Packed):
                self._reader.unpack(source, into)
            else:
                read_into(self._fd, into, source)
        except OSError as error:
            raise unreadable(self.name, error) from None

    def check_map(self, cancel: threading.Event) -> int:
        """Walk the whole map once, so that a damaged image is refused before anything is written; bytes of data in it

        Raises:
            ProviderError: E-IMAGE-REFUSED, E-INTERRUPTED
        """
        data = 0
        for extent in self.extents():
            if cancel.is_set():
                raise interrupted()
            if extent.source is not None:
                data += extent.length
        return data

    def verify(self, progress: Progress, cancel: threading.Event) -> None:
        """Check the file's bytes, before anything is written

        Raises:
            ProviderError: E-IMAGE-CHECKSUM, E-IMAGE-SIGNATURE, E-INTERRUPTED, E-IMAGE-REFUSED when the file was changed
        """
        self._content.verify(progress, cancel)

    def check_unchanged(self) -> None:
        """E-IMAGE-REFUSED when somebody wrote to the file since it was opened"""
        self._content.check_unchanged()
