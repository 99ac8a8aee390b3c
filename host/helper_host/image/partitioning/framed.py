"""An image's reader with a partition table around it"""

from __future__ import annotations

from collections.abc import Iterator

from helper_host.image.formats.base import SECTOR, Extent, Packed, Reader
from helper_host.image.frame import Frame


class TableBytes(Packed):
    """Bytes that come from the frame: `position` is the disk's"""

    __slots__ = ()


class FramedReader:
    """The disk that a filesystem's image becomes within `frame`; a `formats.base.Reader`

    Raises:
        ProviderError: E-IMAGE-REFUSED for an image that the table can't hold
    """

    def __init__(self, reader: Reader, frame: Frame) -> None:
        self._reader = reader
        self._offset = frame.offset
        self._head = frame.head(reader.virtual_size)
        self._tail = frame.tail(reader.virtual_size)
        self._tail_at = self._offset + reader.virtual_size
        self.format = reader.format
        self.virtual_size = self._tail_at + len(self._tail)

    def extents(self) -> Iterator[Extent]:
        """See `Reader.extents`: table, filesystem, what follows it"""
        used = -(-len(self._head.rstrip(b"\0")) // SECTOR) * SECTOR
        yield Extent(0, used, TableBytes(0, used))
        yield Extent(used, self._offset - used, None)
        for extent in self._reader.extents():
            yield extent._replace(offset=extent.offset + self._offset)
        if self._tail:
            yield Extent(self._tail_at, len(self._tail), TableBytes(self._tail_at, len(self._tail)))

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """See `Reader.unpack`"""
        if not isinstance(packed, TableBytes):
            self._reader.unpack(packed, into)
        elif packed.position < self._offset:
            into[:] = self._head[packed.position : packed.position + len(into)]
        else:
            at = packed.position - self._tail_at
            into[:] = self._tail[at : at + len(into)]
