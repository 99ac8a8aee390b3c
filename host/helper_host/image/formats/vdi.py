"""vdi, VirtualBox's own format: dynamic and fixed images, version 1.1

One table has the number of each block's place in the file. Everything that needs another file (undo and differencing
images) is refused from the header, as is every type and flag that isn't known here.

Source of the format: VDICore.h of VirtualBox (VDIPREHEADER, VDIHEADER1PLUS); QEMU's block/vdi.c reads the same.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from helper_host.image.formats.base import SECTOR, Extent, Packed, refused
from helper_host.image.formats.tables import INCOMPLETE, VIRTUAL_MAX, is_inside, joined, numbers, read_exactly, runs

SIGNATURE_AT = 0x40
SIGNATURE = 0xBEDA107F
VERSION = 0x00010001
DYNAMIC, FIXED, UNDO, DIFFERENCING = 1, 2, 3, 4
FLAGS = 0x10100
"""VD_VDI_IMAGE_FLAGS_ZERO_EXPAND and VD_IMAGE_FLAGS_FIXED: neither changes how an image is read."""
BLOCK_MIN, BLOCK_MAX = 64 * 1024, 256 << 20
"""Bytes of a block: VirtualBox makes 1 MiB, unless it is asked for another power of two."""
FREE, ZERO = 0xFFFFFFFF, 0xFFFFFFFE
"""Entries without a place: never written, and known to be zeros."""
PART = 1 << 14
"""Entries of the table that are read at once."""


class Header(NamedTuple):
    """The fields that matter to a reader, all checked"""

    map_offset: int
    data_offset: int
    virtual_size: int
    block: int


def read_header(fd: int, size: int) -> Header:
    """The header, or a refusal that says what is wrong with it

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    raw = os.pread(fd, SECTOR, 0).ljust(SECTOR, b"\0")
    signature, version, length, kind, flags = struct.unpack_from("<IIIII", raw, SIGNATURE_AT)
    if signature != SIGNATURE or size < SECTOR:
        raise refused("The image is not vdi", "give the image_format it has, or image_format=auto")
    if version != VERSION:
        raise refused(f"The vdi image has version {version >> 16}.{version & 0xFFFF}", "convert it: qemu-img convert")
    if kind in (UNDO, DIFFERENCING) or any(raw[0x1A8:0x1C8]):
        raise refused("The vdi image is based on another one", "flatten it where you trust it: VBoxManage clonemedium")
    if kind not in (DYNAMIC, FIXED):
        raise refused(f"The vdi image is of type {kind}, known are dynamic and fixed")
    if flags & ~FLAGS:
        raise refused(f"The vdi image has flags that are not known ({flags:#x})", "convert it: qemu-img convert")
    if not 0x180 <= length <= 0x1000:
        raise refused(f"The vdi image's header says it has {length} bytes")
    map_offset, data_offset = struct.unpack_from("<II", raw, 0x154)
    sector, _, disk, block, extra, blocks = struct.unpack_from("<IIQIII", raw, 0x168)
    virtual = -(-disk // SECTOR) * SECTOR
    if sector != SECTOR:
        raise refused(f"The vdi image has sectors of {sector} bytes")
    if not 0 < virtual <= VIRTUAL_MAX:
        raise refused(f"The vdi image says its disk has {disk} bytes")
    if not BLOCK_MIN <= block <= BLOCK_MAX or block & (block - 1) or extra:
        raise refused(f"The vdi image has blocks of {block} bytes and {extra} before each", "convert it")
    needed = -(-virtual // block)
    if blocks < needed:
        raise refused("The vdi image's block map is too small for its disk")
    if map_offset % SECTOR or map_offset < SECTOR or map_offset + needed * 4 > size:
        raise refused("The vdi image's block map is not inside the file", INCOMPLETE)
    if data_offset % SECTOR or data_offset < map_offset + needed * 4:
        raise refused("The vdi image's data begins before its block map ends")
    return Header(map_offset, data_offset, virtual, block)


class VdiReader:
    """The extents of a vdi image"""

    format = "vdi"

    def __init__(self, fd: int, size: int) -> None:
        self.header = read_header(fd, size)
        self.virtual_size = self.header.virtual_size
        self._fd = fd
        self._size = size

    def extents(self) -> Iterator[Extent]:
        """The whole disk in order, runs joined"""
        return joined(self._pieces(), self._fd, self._size, self.format)

    def _pieces(self) -> Iterator[Extent]:
        header = self.header
        needed = -(-self.virtual_size // header.block)
        for first in range(0, needed, PART):
            count = min(PART, needed - first)
            data = read_exactly(self._fd, self._size, header.map_offset + first * 4, count * 4, "vdi image's block map")
            for index, blocks, place in runs(numbers(data, "I", "little"), 1, (FREE, ZERO)):
                offset = (first + index) * header.block
                if place >= ZERO:
                    yield Extent(offset, min(blocks * header.block, self.virtual_size - offset), None)
                else:
                    yield self._data(offset, place, blocks)

    def _data(self, offset: int, place: int, blocks: int) -> Extent:
        """So many blocks, side by side in the file"""
        header = self.header
        length = min(blocks * header.block, self.virtual_size - offset)
        position = header.data_offset + place * header.block
        if not is_inside(position, length, self._size):
            raise refused("The vdi image has data past its end", INCOMPLETE)
        return Extent(offset, length, position)

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """Never: vdi has nothing packed"""
        raise NotImplementedError
