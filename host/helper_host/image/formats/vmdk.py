"""vmdk, VMware's format: one file that holds everything (createType monolithicSparse and streamOptimized)

The header leads to a directory of tables of grains, the descriptor is a text in the same file. A descriptor can also
say that the disk's bytes are in other files, and tools that believe it have given away their host's (CVE-2022-47951,
CVE-2024-32498): here it has to say that they are in this one, in words that are all known, and nothing in it is ever
opened. Extents of any other kind, parents, encryption, and flags that aren't known are refused.

Source of the format: VMware, Virtual Disk Format 5.0 (Technical Note, 2011): The Text Descriptor File, Hosted Sparse
Extents, Compressed Grains (streamOptimized), Markers.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from helper_host.image.formats.base import SECTOR, Extent, Packed, read_into, refused
from helper_host.image.formats.tables import INCOMPLETE, VIRTUAL_MAX, is_inside, joined, numbers, read_exactly, runs

MAGIC = b"KDMV"
NEWLINES = 1
"""A flag: the header has newlines in it, which a transfer as text would have changed."""
SECOND_DIRECTORY = 2
ZERO_GRAINS, COMPRESSED, MARKERS = 1 << 2, 1 << 16, 1 << 17
KNOWN = NEWLINES | SECOND_DIRECTORY | ZERO_GRAINS | COMPRESSED | MARKERS
DEFLATE = 1
AT_END = 0xFFFFFFFFFFFFFFFF
"""Place of the directory: the footer says it. It is the last sector but one, between its marker and the end's."""
FOOTER_MARKER = struct.pack("<QII", 1, 0, 3).ljust(SECTOR, b"\0")
END_MARKER = bytes(SECTOR)
TABLE = 512
"""Entries of a table, which never differs."""
GRAIN_MIN, GRAIN_MAX = 8, 4096
"""Sectors of a grain: a power of two, 128 everywhere; 4 KiB are the format's limit, 2 MiB are ours."""
DESCRIPTOR_MAX = (1 << 20) // SECTOR
"""Sectors of the descriptor; QEMU's limit."""
FREE, ZERO = 0, 1
"""Grains that are nowhere: never written, and known to be zeros (with `ZERO_GRAINS`)."""
GRAIN_HEADER = 12
"""Bytes before a compressed grain: its sector on the disk, and how many bytes follow."""
WORDS = frozenset({"version", "encoding", "cid", "parentcid", "isnativesnapshot", "createtype"})
"""What a descriptor may speak of, besides the disk's data base (ddb.*), which is for VMware's tools."""
TYPES = ('"monolithicsparse"', '"streamoptimized"')
NO_PARENT = "ffffffff"
EXTENT = re.compile(r'(?:rw|rdonly) ([0-9]{1,19}) sparse "([^"/\\]*)"( 0)?')


class Header(NamedTuple):
    """The fields that matter to a reader"""

    version: int
    flags: int
    capacity: int
    """Sectors of the disk."""
    grain: int
    """Sectors of a grain."""
    descriptor: int
    descriptor_size: int
    table: int
    second_directory: int
    directory: int
    overhead: int
    unclean: int
    newlines: bytes
    compression: int


HEADER = struct.Struct("<4xIIQQQQIQQQB4sH")


def read_header(fd: int, size: int) -> Header:
    """The header, or a refusal that says what is wrong with it

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    raw = os.pread(fd, SECTOR, 0)
    if not raw.startswith(MAGIC) or len(raw) < SECTOR:
        raise refused(
            "The image is no vmdk that holds the disk's data itself",
            "convert it to one that does: qemu-img convert -O qcow2; for a disk's bytes give image_format=raw",
        )
    header = Header(*HEADER.unpack_from(raw))
    _check(header)
    _check_descriptor(fd, size, header)
    return _with_footer(fd, size, header) if header.directory == AT_END else header


def _check(header: Header) -> None:
    if header.version not in (1, 2, 3):
        raise refused(f"The vmdk image has version {header.version}", "convert it: qemu-img convert -O qcow2")
    if header.flags & ~KNOWN:
        raise refused(f"The vmdk image has flags that are not known ({header.flags & ~KNOWN:#x})", "convert it")
    if header.flags & NEWLINES and header.newlines != b"\n \r\n":
        raise refused("The vmdk image was damaged by a transfer as text", "transfer it again, as binary data")
    if header.compression != (DEFLATE if header.flags & COMPRESSED else 0):
        raise refused(f"The vmdk image has compression {header.compression}, known is deflate", "convert it")
    if header.flags & MARKERS and not header.flags & COMPRESSED:
        raise refused("The vmdk image has markers but no compression")
    if header.unclean:
        raise refused("The vmdk image was not closed properly", "repair it: vmware-vdiskmanager -R")
    if not 0 < header.capacity <= VIRTUAL_MAX // SECTOR:
        raise refused(f"The vmdk image says its disk has {header.capacity} sectors")
    if not GRAIN_MIN <= header.grain <= GRAIN_MAX or header.grain & (header.grain - 1) or header.table != TABLE:
        raise refused(f"The vmdk image has grains of {header.grain} sectors and tables of {header.table} entries")


def _check_descriptor(fd: int, size: int, header: Header) -> None:
    """The descriptor may only say what is so anyway"""
    if header.descriptor != 1 or not 0 < header.descriptor_size <= DESCRIPTOR_MAX:
        raise refused("The vmdk image has no descriptor where it should be, or an absurdly large one")
    raw = read_exactly(fd, size, SECTOR, header.descriptor_size * SECTOR, "vmdk image's descriptor")
    try:
        text = raw.partition(b"\0")[0].decode("ascii").lower()
    except UnicodeDecodeError:
        raise refused("The vmdk image's descriptor is not plain text") from None
    values: dict[str, str] = {}
    extents: list[str] = []
    for line in filter(None, map(str.strip, text.split("\n"))):
        word, equals, value = line.partition("=")
        if line.startswith("#") or (word.startswith("ddb.") and equals):
            continue
        if equals and word in WORDS and word not in values:
            values[word] = value
        elif not equals and line.startswith(("rw ", "rdonly ", "noaccess ")):
            extents.append(" ".join(line.split()))
        else:
            raise refused(
                "The vmdk image's descriptor says things that are not known, or that lead to other files or to keys",
                "convert it where you trust it: qemu-img convert -O qcow2",
            )
    if values.get("createtype") not in TYPES:
        raise refused("The vmdk image is neither monolithicSparse nor streamOptimized", "convert it: qemu-img convert")
    if values.get("parentcid") != NO_PARENT:
        raise refused("The vmdk image is based on another one", "flatten it where you trust it: qemu-img convert")
    match = EXTENT.fullmatch(extents[0]) if len(extents) == 1 else None
    if match is None or int(match[1]) != header.capacity:
        raise refused(
            "The vmdk image's descriptor has other extents than the file itself",
            "convert it where you trust it: qemu-img convert -O qcow2",
        )


def _with_footer(fd: int, size: int, header: Header) -> Header:
    """The header of an image that was written in one go, with what was known only at its end"""
    at = size - 3 * SECTOR
    if at < SECTOR or size % SECTOR:
        raise refused("The vmdk image has no footer", INCOMPLETE)
    raw = read_exactly(fd, size, at, 3 * SECTOR, "vmdk image's footer")
    if (raw[:SECTOR], raw[2 * SECTOR :]) != (FOOTER_MARKER, END_MARKER) or not raw.startswith(MAGIC, SECTOR):
        raise refused("The vmdk image has no footer", INCOMPLETE)
    footer = Header(*HEADER.unpack_from(raw, SECTOR))
    if footer.directory == AT_END or footer != header._replace(
        directory=footer.directory, second_directory=footer.second_directory, overhead=footer.overhead
    ):
        raise refused("The vmdk image's header and footer differ")
    return footer


class VmdkReader:
    """The extents of a vmdk image, and its grains' bytes"""

    format = "vmdk"

    def __init__(self, fd: int, size: int) -> None:
        self.header = read_header(fd, size)
        self.virtual_size = self.header.capacity * SECTOR
        self._fd = fd
        self._size = size
        self._grain = self.header.grain * SECTOR
        self._packed = bool(self.header.flags & COMPRESSED)
        self._still = (FREE, ZERO) if self.header.flags & ZERO_GRAINS else (FREE,)
        self._tables = -(-self.virtual_size // (self._grain * TABLE))
        if not SECTOR <= self.header.directory * SECTOR <= size - self._tables * 4:
            raise refused("The vmdk image's grain directory is not inside the file", INCOMPLETE)

    def extents(self) -> Iterator[Extent]:
        """The whole disk in order, runs joined"""
        return joined(self._pieces(), self._fd, self._size, self.format)

    def _pieces(self) -> Iterator[Extent]:
        covered = self._grain * TABLE
        for first in range(0, self._tables, TABLE):
            for index, sector in enumerate(
                self._read(self.header.directory * SECTOR + first * 4, self._tables - first)
            ):
                offset = (first + index) * covered
                end = min(offset + covered, self.virtual_size)
                if sector == 0:
                    yield Extent(offset, end - offset, None)
                else:
                    table = self._read(sector * SECTOR, -(-(end - offset) // self._grain))
                    yield from self._compressed(table, offset, end) if self._packed else self._plain(table, offset, end)

    def _read(self, position: int, count: int) -> array[int]:
        """At most a table's worth of entries"""
        data = read_exactly(self._fd, self._size, position, min(count, TABLE) * 4, "vmdk image's grain table")
        return numbers(data, "I", "little")

    def _plain(self, table: array[int], offset: int, end: int) -> Iterator[Extent]:
        for index, grains, sector in runs(table, self.header.grain, self._still):
            start = offset + index * self._grain
            length = min(grains * self._grain, end - start)
            if sector in self._still:
                yield Extent(start, length, None)
            elif is_inside(sector * SECTOR, length, self._size):
                yield Extent(start, length, sector * SECTOR)
            else:
                raise refused("The vmdk image has data past its end", INCOMPLETE)

    def _compressed(self, table: array[int], offset: int, end: int) -> Iterator[Extent]:
        """A grain takes no more than there is until the next one, and little more than it has when it is unpacked"""
        most = GRAIN_HEADER + self._grain + self._grain // 1000 + SECTOR
        for index, grains, sector in runs(table, 0, self._still):
            start = offset + index * self._grain
            if sector in self._still:
                yield Extent(start, min(grains * self._grain, end - start), None)
                continue
            position = sector * SECTOR
            if position + GRAIN_HEADER >= self._size:
                raise refused("The vmdk image has data past its end", INCOMPLETE)
            length = min(most, self._size - position)
            for number in range(grains):
                at = start + number * self._grain
                following = table[index + number + 1] if index + number + 1 < len(table) else FREE
                room = (following - sector) * SECTOR if following > sector else length
                yield Extent(at, min(self._grain, end - at), Packed(position, min(length, room)))

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """A compressed grain's bytes; that of the disk's end may have only what the disk has"""
        data = memoryview(bytearray(packed.length))
        read_into(self._fd, data, packed.position)
        (length,) = struct.unpack_from("<I", data, 8)
        try:
            if not 0 < length <= packed.length - GRAIN_HEADER:
                raise zlib.error
            plain = zlib.decompressobj().decompress(data[GRAIN_HEADER : GRAIN_HEADER + length], self._grain)
            into[:] = memoryview(plain)[: len(into)]
        except (zlib.error, ValueError):
            raise refused("The vmdk image has a damaged compressed grain", INCOMPLETE) from None
