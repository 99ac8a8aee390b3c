"""raw: the disk's bytes as they are

Nothing is interpreted, so nothing can be misled; holes in the file (SEEK_HOLE) are zeros that need no reading.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from helper_host.image.formats.base import SECTOR, Extent, Packed, refused


class RawReader:
    """The file's bytes; a last part of a sector is filled up with zeros"""

    format = "raw"

    def __init__(self, fd: int, size: int) -> None:
        if size < SECTOR:
            raise refused(f"The image has {size} bytes, too few for a disk", "look whether its download was complete")
        self._fd = fd
        self.virtual_size = -(-size // SECTOR) * SECTOR

    def extents(self) -> Iterator[Extent]:
        """Data and holes as the filesystem knows them, in whole sectors"""
        for start, end, is_data in holes_and_data(self._fd, self.virtual_size):
            yield Extent(start, end - start, start if is_data else None)

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """Never: raw has nothing packed"""
        raise NotImplementedError


def holes_and_data(fd: int, size: int, position: int = 0) -> Iterator[tuple[int, int, bool]]:
    """A file from `position` to `size` in order as `(start, end, is data)`, cut at sectors; holes read as zeros"""
    while position < size:
        try:
            start = os.lseek(fd, position, os.SEEK_DATA)
            end = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            # ENXIO: no more data; else a filesystem that can't tell: all is data
            start, end = (size, size) if error.errno == errno.ENXIO else (position, size)
        start = min(max(start // SECTOR * SECTOR, position), size)
        end = min(-(-end // SECTOR) * SECTOR, size)
        if start > position:
            yield position, start, False
        if end > start:
            yield start, end, True
        position = max(start, end)
