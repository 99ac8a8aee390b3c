"""An image: opened once, checked, and read through that one descriptor"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import TracebackType

from helper_host.errors import ProviderError
from helper_host.image import checksum as checksums
from helper_host.image import formats
from helper_host.image.formats import Extent, Packed
from helper_host.image.formats.base import read_into
from helper_host.image.sources import Places, open_reference


class Image:
    """A regular file that holds an image whose header was found safe; a context manager, or `close()`"""

    def __init__(self, fd: int, path: str, image_format: str) -> None:
        self.path = path
        self._fd = fd
        status = os.fstat(fd)
        self.file_size = status.st_size
        # no ctime: it changes too when the file's name is taken over by a newer image, which is fine
        self._stamp = (status.st_size, status.st_mtime_ns)
        self._reader = formats.open_reader(fd, status.st_size, image_format)
        self.format = self._reader.format
        self.virtual_size = self._reader.virtual_size

    def __enter__(self) -> Image:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when repeated"""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        """The one descriptor"""
        return self._fd

    def extents(self) -> Iterator[Extent]:
        """The disk's bytes in order, see `formats.Reader.extents`"""
        return self._reader.extents()

    def read(self, source: int | Packed | None, into: memoryview) -> None:
        """Bytes of an extent, or of a part of one whose source is a position

        Raises:
            ProviderError: E-IMAGE-REFUSED, when they can't be read or unpacked
        """
        if source is None:
            into[:] = bytes(len(into))
        elif isinstance(source, Packed):
            self._reader.unpack(source, into)
        else:
            try:
                read_into(self._fd, into, source)
            except OSError as error:
                raise ProviderError(
                    "E-IMAGE-REFUSED", f"The image {self.path} can't be read ({error.strerror})", "look at its storage"
                ) from None

    def check_map(self, cancel: threading.Event) -> int:
        """Walk the whole map once, so that a damaged image is refused before anything is written; bytes of data in it

        Raises:
            ProviderError: E-IMAGE-REFUSED, E-INTERRUPTED
        """
        data = 0
        for extent in self.extents():
            if cancel.is_set():
                raise checksums.interrupted()
            if extent.source is not None:
                data += extent.length
        return data

    def digest(self, algorithm: str, progress: checksums.Progress, cancel: threading.Event) -> str:
        """Hash of the file's bytes (not of the disk's), in hexadecimal"""
        return checksums.digest(self._fd, self.file_size, algorithm, progress, cancel)

    def verify(self, checksum: checksums.Checksum, progress: checksums.Progress, cancel: threading.Event) -> None:
        """Hash the file and compare

        Raises:
            ProviderError: E-IMAGE-CHECKSUM, E-INTERRUPTED, E-IMAGE-REFUSED when the file changed meanwhile
        """
        checksum.check(self.digest(checksum.algorithm, progress, cancel))
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """E-IMAGE-REFUSED when somebody wrote to the file since it was opened"""
        status = os.fstat(self._fd)
        if (status.st_size, status.st_mtime_ns) != self._stamp:
            raise ProviderError(
                "E-IMAGE-REFUSED",
                f"The image {self.path} was changed while it was used",
                "replace images by renaming a complete new file over the old one",
            )


def open_image(reference: str, *, places: Places, image_format: str = "auto") -> Image | None:
    """The image that `reference` names, opened and its header checked; None for `none`

    Raises:
        ProviderError: E-PARAMETER, E-IMAGE-MISSING, E-IMAGE-REFUSED
    """
    opened = open_reference(reference, places)
    if opened is None:
        return None
    try:
        return Image(opened.fd, opened.path, image_format)
    except BaseException:
        os.close(opened.fd)
        raise
