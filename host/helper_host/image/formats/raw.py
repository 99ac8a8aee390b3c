"""raw: the disk's bytes as they are

Nothing is interpreted, so nothing can be misled; holes in the file (SEEK_HOLE) are zeros that need no reading.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from helper_host.image.formats.base import SECTOR, Extent, Format, Packed, refused


class RawReader:
    """The file's bytes; a last part of a sector is filled up with zeros"""

    format = "raw"

    def __init__(self, fd: int, size: int) -> None:
        if size < SECTOR:
            raise refused(f"The image has {size} bytes, too few for a disk", "look whether its download was complete")
        self._fd = fd
        self._size = size
        self.virtual_size = -(-size // SECTOR) * SECTOR

    def extents(self) -> Iterator[Extent]:
        """Data and holes as the filesystem knows them"""
        position = 0
        while position < self.virtual_size:
            start, end = self._next_data(position)
            start = min(max(start // SECTOR * SECTOR, position), self.virtual_size)
            end = min(-(-end // SECTOR) * SECTOR, self.virtual_size)
            if start > position:
                yield Extent(position, start - position, None)
            if end > start:
                yield Extent(start, end - start, start)
            position = max(start, end)

    def _next_data(self, position: int) -> tuple[int, int]:
        try:
            start = os.lseek(self._fd, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                return position, self._size  # a filesystem that can't tell: all is data
            return self.virtual_size, self.virtual_size
        return start, min(os.lseek(self._fd, start, os.SEEK_HOLE), self._size)

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """Never: raw has nothing packed"""
        raise NotImplementedError


FORMAT = Format(name="raw", open=RawReader, help="the disk's bytes as they are")
