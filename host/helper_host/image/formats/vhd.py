"""vhd, the format of Virtual PC, older Hyper-V and Azure (QEMU calls it vpc): fixed and dynamic images

A fixed image is the disk's bytes and a footer. A dynamic one has a copy of the footer at its start, a table of blocks,
and a bitmap before each block that says which of its sectors were ever written: the others are zeros. Differencing
images, which are based on another file, and every feature and version that isn't known here are refused.

Source of the format: Microsoft, Virtual Hard Disk Image Format Specification, version 1.0: Hard Disk Footer Format,
Dynamic Disk Header Format, Block Allocation Table and Data Blocks.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from helper_host.image.formats.base import SECTOR, Extent, Packed, refused
from helper_host.image.formats.raw import holes_and_data
from helper_host.image.formats.tables import INCOMPLETE, VIRTUAL_MAX, is_inside, joined, numbers, read_exactly, runs

COOKIE, DYNAMIC_COOKIE = b"conectix", b"cxsparse"
SHORT = 511
"""Bytes of the footer that Virtual PC wrote before 2004, without its last zero."""
VERSION = 0x00010000
TEMPORARY, RESERVED = 1, 2
"""Features; the second is always set, and neither changes how an image is read."""
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
FREE = 0xFFFFFFFF
GEOMETRY_CREATORS = (b"vpc ", b"vs  ", b"qemu")
"""Programs whose guests see a disk of the geometry's size, which may be smaller or larger than what the size field
says: Virtual PC, Virtual Server, and QEMU when nobody asked it for the very size. All others mean the size field.
QEMU takes VirtualBox for one of them, too, but that shows its guests the size field (VHD.cpp), and may have put a
second GPT there."""
GEOMETRY_MAX = 65535 * 16 * 255
"""Sectors of the largest geometry: a disk that has it is larger, and only the size field says by how much."""
BLOCK_MIN, BLOCK_MAX = 64 * 1024, 256 << 20
"""Bytes of a block: a power of two, by default 2 MiB."""
PARENT = slice(64, 768)
"""In the dynamic header: name of the parent, and where to look for it."""
PART = 1 << 14
"""Entries of the table that are read at once."""
BITS = 1 << 12
"""Bits of a bitmap that are one number: those of a block of the usual size. Each run of equal bits takes as many steps
as the number has words, so one of half a million bits would take seconds."""


class Footer(NamedTuple):
    """The fields that matter to a reader, all checked"""

    kind: int
    virtual_size: int
    header_offset: int
    raw: bytes


class Table(NamedTuple):
    """What the header of a dynamic image says, all checked"""

    offset: int
    block: int

    @property
    def bitmap(self) -> int:
        """Bytes of the bitmap before each block"""
        return -(-self.block // SECTOR // 8 // SECTOR) * SECTOR


def read_footer(fd: int, size: int) -> tuple[Footer, int]:
    """The footer, and where in the file it begins

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    for length in (SECTOR, SHORT):
        raw = os.pread(fd, length, max(size - length, 0))
        if raw.startswith(COOKIE) and len(raw) == length:
            return _footer(raw.ljust(SECTOR, b"\0")), size - length
    if os.pread(fd, len(COOKIE), 0) == COOKIE:
        raise refused("The vhd image has no footer", INCOMPLETE)
    raise refused("The image is not vhd", "give the image_format it has, or image_format=auto")


def _footer(raw: bytes) -> Footer:
    features, version, header_offset = struct.unpack_from(">IIQ", raw, 8)
    creator = raw[28:32]
    current, cylinders, heads, sectors, kind = struct.unpack_from(">QHBBI", raw, 48)
    if not _sums_up(raw, 64):
        raise refused("The vhd image's footer is damaged", INCOMPLETE)
    if version != VERSION:
        raise refused(f"The vhd image has version {version >> 16}.{version & 0xFFFF}", "convert it: qemu-img convert")
    if kind == DIFFERENCING:
        raise refused("The vhd image is based on another one", "flatten it where you trust it: qemu-img convert -O raw")
    if kind not in (FIXED, DYNAMIC):
        raise refused(f"The vhd image is of type {kind}, known are fixed and dynamic")
    if features & ~(TEMPORARY | RESERVED):
        raise refused(f"The vhd image needs features that are not known ({features:#x})", "convert it to raw")
    geometry = cylinders * heads * sectors
    by_geometry = creator in GEOMETRY_CREATORS and 0 < geometry < GEOMETRY_MAX
    virtual = geometry * SECTOR if by_geometry else current
    if not 0 < virtual <= VIRTUAL_MAX or virtual % SECTOR:
        raise refused(f"The vhd image says its disk has {virtual} bytes")
    return Footer(kind, virtual, header_offset, raw)


def _sums_up(raw: bytes, at: int) -> bool:
    """Whether the checksum at `at` is right: the one's complement of the sum of all other bytes"""
    return bool(struct.unpack_from(">I", raw, at)[0] == (sum(raw[:at]) + sum(raw[at + 4 :])) ^ 0xFFFFFFFF)


def read_table(fd: int, size: int, footer: Footer) -> Table:
    """The header of a dynamic image

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    if os.pread(fd, SHORT, 0) != footer.raw[:SHORT]:
        raise refused("The vhd image's footer and the copy at its start differ", INCOMPLETE)
    raw = read_exactly(fd, size, footer.header_offset, 1024, "vhd image's header")
    offset, version, entries, block = struct.unpack_from(">QIII", raw, 16)
    if not raw.startswith(DYNAMIC_COOKIE) or not _sums_up(raw, 36):
        raise refused("The vhd image's header is damaged", INCOMPLETE)
    if version != VERSION:
        raise refused(f"The vhd image has a header of version {version >> 16}.{version & 0xFFFF}")
    if any(raw[PARENT]):
        raise refused("The vhd image names a parent", "flatten it where you trust it: qemu-img convert -O raw")
    if not BLOCK_MIN <= block <= BLOCK_MAX or block & (block - 1):
        raise refused(f"The vhd image has blocks of {block} bytes")
    needed = -(-footer.virtual_size // block)
    if entries < needed:
        raise refused("The vhd image's block table is too small for its disk")
    if offset % SECTOR or offset < SECTOR or offset + needed * 4 > size:
        raise refused("The vhd image's block table is not inside the file", INCOMPLETE)
    return Table(offset, block)


class VhdReader:
    """The extents of a vhd image"""

    format = "vhd"

    def __init__(self, fd: int, size: int) -> None:
        footer, end = read_footer(fd, size)
        self.virtual_size = footer.virtual_size
        self._fd = fd
        self._end = end
        self._table = read_table(fd, end, footer) if footer.kind == DYNAMIC else None
        if self._table is None and self.virtual_size > end:
            raise refused("The vhd image is shorter than its disk", INCOMPLETE)

    def extents(self) -> Iterator[Extent]:
        """The whole disk in order, runs joined"""
        if self._table is not None:
            return joined(self._blocks(self._table), self._fd, self._end, self.format)
        return (
            Extent(start, end - start, start if is_data else None)
            for start, end, is_data in holes_and_data(self._fd, self.virtual_size)
        )

    def _blocks(self, table: Table) -> Iterator[Extent]:
        needed = -(-self.virtual_size // table.block)
        for first in range(0, needed, PART):
            count = min(PART, needed - first)
            data = read_exactly(self._fd, self._end, table.offset + first * 4, count * 4, "vhd image's block table")
            for index, blocks, sector in runs(numbers(data, "I", "big"), 0, (FREE,)):
                offset = (first + index) * table.block
                if sector == FREE:
                    yield Extent(offset, min(blocks * table.block, self.virtual_size - offset), None)
                    continue
                for number in range(blocks):
                    yield from self._block(table, offset + number * table.block, sector * SECTOR)

    def _block(self, table: Table, offset: int, position: int) -> Iterator[Extent]:
        """One block, by its bitmap"""
        length = min(table.block, self.virtual_size - offset)
        source = position + table.bitmap
        if position == 0 or not is_inside(source, length, self._end):
            raise refused("The vhd image has data past its end", INCOMPLETE)
        sectors = length // SECTOR
        bitmap = read_exactly(self._fd, self._end, position, -(-sectors // 8), "vhd image's bitmap")
        for first in range(0, sectors, BITS):
            count = min(BITS, sectors - first)
            bits = int.from_bytes(bitmap[first // 8 : -(-(first + count) // 8)], "big") >> -count % 8
            for start, run, written in _bit_runs(bits, count):
                at = (first + start) * SECTOR
                yield Extent(offset + at, run * SECTOR, source + at if written else None)

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """Never: vhd has nothing packed"""
        raise NotImplementedError


def _bit_runs(bits: int, count: int) -> Iterator[tuple[int, int, bool]]:
    """Runs of equal bits among the lower `count` of a number, from the highest on: first, length, whether they are 1"""
    done = 0
    while done < count:
        rest = count - done
        is_set = bool(bits >> (rest - 1))
        turned = ~bits & ((1 << rest) - 1) if is_set else bits
        run = rest - turned.bit_length()
        yield done, run, is_set
        done += run
        bits &= (1 << (count - done)) - 1
