"""vhdx, the format of newer Hyper-V: fixed and dynamic images

A file has two headers of which the newer is valid, a table of regions, a region of metadata, and one with the table of
blocks. An image whose log isn't empty would have to be repaired from it first, and one that has a parent needs another
file: both are refused, as are regions, metadata and states that are required and not known.

Source of the format: Microsoft, [MS-VHDX] Virtual Hard Disk v2 File Format, sections 2.2 (header section), 2.5 (BAT)
and 2.6 (metadata region).
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from helper_host.image.formats.base import SECTOR, Extent, Packed, refused
from helper_host.image.formats.tables import INCOMPLETE, VIRTUAL_MAX, is_inside, joined, numbers, read_exactly, runs

KIB, MIB = 1 << 10, 1 << 20
SIGNATURE = b"vhdxfile"
HEADERS = (64 * KIB, 128 * KIB)
HEADER_SIZE = 4 * KIB
REGIONS = 192 * KIB
"""The first copy; like QEMU we have no use for an image in which only the second is whole."""
REGIONS_SIZE = 64 * KIB
METADATA_SIZE = 64 * KIB
"""Bytes of the metadata's table; what it describes follows."""
ENTRIES_MAX = 2047
"""Of either table."""
BAT = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08").bytes_le
METADATA = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
FILE_PARAMETERS = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le
DISK_SIZE = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le
LOGICAL_SECTOR = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F").bytes_le
PHYSICAL_SECTOR = uuid.UUID("CDA348C7-445D-4471-9CC9-E9885251C556").bytes_le
DISK_ID = uuid.UUID("BECA12AB-B2E6-4523-93EF-C309E000C746").bytes_le
PARENT = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C").bytes_le
LENGTHS = {FILE_PARAMETERS: 8, DISK_SIZE: 8, LOGICAL_SECTOR: 4, PHYSICAL_SECTOR: 4, DISK_ID: 16}
"""Bytes of each item of the metadata, all of which must be there."""
LEAVE_ALLOCATED, HAS_PARENT = 1, 2
BLOCK_MIN, BLOCK_MAX = MIB, 256 * MIB
SIZE_MAX = 64 << 40
"""Bytes of the largest disk of the format."""
CHUNK = 1 << 23
"""Sectors of the disk between two entries for sector bitmaps, which stand in the table of blocks among the others."""
STATE = 7
NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, PRESENT, PARTIAL = 0, 1, 2, 3, 6, 7
RESERVED = 0xFFFF8
POLYNOMIAL = 0x82F63B78
"""CRC-32C (RFC 3720, B.4), bits reversed."""


class Region(NamedTuple):
    """A part of the file"""

    offset: int
    length: int


class Disk(NamedTuple):
    """What the metadata says, all checked"""

    virtual_size: int
    block: int


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for number in range(256):
        value = number
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


def crc32c(data: bytes) -> int:
    """CRC-32C, as the headers have it"""
    table = _crc_table()
    value = 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _sums_up(raw: bytes, signature: bytes) -> bool:
    """Whether a header begins as it should and its checksum, bytes 4 to 7, is right"""
    if not raw.startswith(signature):
        return False
    return bool(struct.unpack_from("<I", raw, 4)[0] == crc32c(raw[:4] + bytes(4) + raw[8:]))


def check_headers(fd: int, size: int) -> None:
    """The file's two headers: the newer one that is valid must have an empty log

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    if os.pread(fd, len(SIGNATURE), 0) != SIGNATURE:
        raise refused("The image is not vhdx", "give the image_format it has, or image_format=auto")
    raws = [read_exactly(fd, size, position, HEADER_SIZE, "vhdx image's header") for position in HEADERS]
    valid = [raw for raw in raws if _sums_up(raw, b"head")]
    if not valid:
        raise refused("The vhdx image's headers are damaged", INCOMPLETE)
    newest = max(valid, key=lambda raw: int(struct.unpack_from("<Q", raw, 8)[0]))
    log, log_version, version = newest[48:64], *struct.unpack_from("<HH", newest, 64)
    if version != 1 or log_version != 0:
        raise refused(f"The vhdx image has version {version}, and its log {log_version}", "convert it")
    if any(log):
        raise refused(
            "The vhdx image was not closed properly, its log is not empty",
            "repair it: mount and dismount it on Windows, or qemu-img check -r all",
        )


def read_regions(fd: int, size: int) -> dict[bytes, Region]:
    """Where metadata and table of blocks are

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    raw = read_exactly(fd, size, REGIONS, REGIONS_SIZE, "vhdx image's region table")
    if not _sums_up(raw, b"regi"):
        raise refused("The vhdx image's region table is damaged", INCOMPLETE)
    (count,) = struct.unpack_from("<I", raw, 8)
    if count > ENTRIES_MAX:
        raise refused(f"The vhdx image says it has {count} regions")
    regions: dict[bytes, Region] = {}
    for name, offset, length, required in struct.iter_unpack("<16sQII", raw[16 : 16 + count * 32]):
        if name not in (BAT, METADATA):
            if required & 1:
                raise refused("The vhdx image needs a region that is not known", "convert it: qemu-img convert")
            continue
        if name in regions or offset < MIB or offset % MIB or length % MIB or offset + length > size:
            raise refused("The vhdx image has a region twice, or one that is not inside the file", INCOMPLETE)
        regions[name] = Region(offset, length)
    if len(regions) != 2:
        raise refused("The vhdx image lacks its metadata or its table of blocks", INCOMPLETE)
    first, second = sorted(regions.values())
    if first.offset + first.length > second.offset:
        raise refused("The vhdx image's regions overlap")
    return regions


def read_metadata(fd: int, size: int, region: Region) -> Disk:
    """What the disk is like

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    raw = read_exactly(fd, size, region.offset, METADATA_SIZE, "vhdx image's metadata")
    signature, count = struct.unpack_from("<8s2xH", raw)
    if signature != b"metadata" or count > ENTRIES_MAX:
        raise refused("The vhdx image's metadata is damaged", INCOMPLETE)
    items: dict[bytes, bytes] = {}
    for name, offset, length, flags in struct.iter_unpack("<16sIII4x", raw[32 : 32 + count * 32]):
        if name == PARENT:
            raise refused("The vhdx image is based on another one", "flatten it where you trust it: qemu-img convert")
        if name not in LENGTHS:
            if flags & 4:
                raise refused("The vhdx image needs metadata that is not known", "convert it: qemu-img convert")
            continue
        if name in items or length != LENGTHS[name] or not METADATA_SIZE <= offset <= region.length - length:
            raise refused("The vhdx image has metadata twice, or some that is not where it should be")
        items[name] = read_exactly(fd, size, region.offset + offset, length, "vhdx image's metadata")
    if items.keys() != LENGTHS.keys():
        raise refused("The vhdx image lacks metadata", INCOMPLETE)
    block, flags = struct.unpack("<II", items[FILE_PARAMETERS])
    (virtual,) = struct.unpack("<Q", items[DISK_SIZE])
    (sector,) = struct.unpack("<I", items[LOGICAL_SECTOR])
    if flags & HAS_PARENT:
        raise refused("The vhdx image is based on another one", "flatten it where you trust it: qemu-img convert")
    if flags & ~(LEAVE_ALLOCATED | HAS_PARENT):
        raise refused(f"The vhdx image has flags that are not known ({flags:#x})", "convert it: qemu-img convert")
    if sector != SECTOR:
        raise refused(
            f"The vhdx image's disk has sectors of {sector} bytes, so its partition table fits no disk of an instance",
            "make it with sectors of 512 bytes",
        )
    if not BLOCK_MIN <= block <= BLOCK_MAX or block & (block - 1):
        raise refused(f"The vhdx image has blocks of {block} bytes")
    if not 0 < virtual <= min(SIZE_MAX, VIRTUAL_MAX) or virtual % SECTOR:
        raise refused(f"The vhdx image says its disk has {virtual} bytes")
    return Disk(virtual, block)


class VhdxReader:
    """The extents of a vhdx image"""

    format = "vhdx"

    def __init__(self, fd: int, size: int) -> None:
        check_headers(fd, size)
        regions = read_regions(fd, size)
        self.virtual_size, self._block = read_metadata(fd, size, regions[METADATA])
        self._fd = fd
        self._size = size
        self._table = regions[BAT].offset
        self._chunk = CHUNK * SECTOR // self._block
        """Entries for blocks before each for a bitmap."""
        self._blocks = -(-self.virtual_size // self._block)
        if (self._blocks + (self._blocks - 1) // self._chunk) * 8 > regions[BAT].length:
            raise refused("The vhdx image's table of blocks is too small for its disk")

    def extents(self) -> Iterator[Extent]:
        """The whole disk in order, runs joined"""
        return joined(self._pieces(), self._fd, self._size, self.format)

    def _pieces(self) -> Iterator[Extent]:
        for number, first in enumerate(range(0, self._blocks, self._chunk)):
            count = min(self._chunk, self._blocks - first)
            position = self._table + (first + number) * 8
            data = read_exactly(self._fd, self._size, position, count * 8, "vhdx image's table of blocks")
            for index, blocks, word in runs(
                numbers(data, "Q", "little"), self._block, (NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED)
            ):
                offset = (first + index) * self._block
                length = min(blocks * self._block, self.virtual_size - offset)
                yield Extent(offset, length, self._source(word, length))

    def _source(self, word: int, length: int) -> int | None:
        """What an entry says of its block and those that follow it in the same way"""
        state, position = word & STATE, word & ~(MIB - 1)
        if word & RESERVED or state not in (NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, PRESENT):
            raise refused(
                "The vhdx image has a block that is partly in another file"
                if state == PARTIAL
                else "The vhdx image's table of blocks has entries that are not known",
                "convert it where you trust it: qemu-img convert",
            )
        if state != PRESENT:
            return None
        if position == 0 or not is_inside(position, length, self._size):
            raise refused("The vhdx image has data past its end", INCOMPLETE)
        return position

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """Never: vhdx has nothing packed"""
        raise NotImplementedError
