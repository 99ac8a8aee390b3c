"""qcow2, versions 2 and 3: checked and read by our own code, no tool ever opens the file

Everything that could make a reader touch another file (backing file, external data file), everything encrypted, and
every feature not known here is refused from the header. Then the whole map (L1 and L2 tables) is bounded by the file's
size and alignment, so that reading it ends and stays inside. Internal snapshots and refcounts are not looked at:
only the active map is read.

Source of the format: docs/interop/qcow2.txt of QEMU.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.image.formats.base import SECTOR, Extent, Packed, read_into, refused
from helper_host.image.formats.tables import INCOMPLETE, VIRTUAL_MAX, is_inside, joined, numbers, read_exactly, runs

MAGIC = b"QFI\xfb"
L1_MAX = 32 << 20
"""Bytes of the L1 table, QEMU's own limit."""
REFCOUNT_TABLE_MAX = 8 << 20
"""Bytes of the refcount table, QEMU's own limit."""
WINDOW_MAX = 8 << 20
"""Most memory a zstd frame may ask for: what RFC 8878 has every decoder support, and more than any cluster."""

DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))
KNOWN = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2

END, ENCRYPTION_HEADER, DATA_FILE_NAME = 0, 0x0537BE77, 0x44415441

OFFSET = 0x00FFFFFFFFFFFE00
L1_RESERVED = 0x7F000000000001FF
L2_RESERVED = 0x3F000000000001FE
L2_COPIED = 1 << 63
L2_PACKED = 1 << 62
L2_ZERO = 1
NOWHERE = (0, L2_ZERO, L2_COPIED, L2_COPIED | L2_ZERO)
"""L2 entries without a place in the file."""


class Header(NamedTuple):
    """The fields that matter to a reader, all checked"""

    version: int
    cluster_bits: int
    virtual_size: int
    l1_size: int
    l1_offset: int
    incompatible: int
    compression: int

    @property
    def cluster(self) -> int:
        """Bytes of a cluster"""
        return 1 << self.cluster_bits

    @property
    def entry(self) -> int:
        """Bytes of an L2 entry"""
        return 16 if self.incompatible & EXTENDED_L2 else 8

    @property
    def covered(self) -> int:
        """Bytes of the disk that one L2 table maps"""
        return self.cluster // self.entry * self.cluster


def read_header(fd: int, size: int) -> Header:
    """The header, or a refusal that says what is wrong with it

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    raw = os.pread(fd, 112, 0).ljust(112, b"\0")
    magic, version, backing, _, bits, virtual, crypt, l1_size, l1_offset, table, table_clusters = struct.unpack_from(
        ">4sIQIIQIIQQI", raw
    )
    if magic != MAGIC or size < 72:
        raise refused("The image is not qcow2", "give the image_format it has, or image_format=auto")
    if version not in (2, 3):
        raise refused(f"The image is qcow version {version}", "convert it: qemu-img convert -O qcow2")
    if backing:
        raise refused("The qcow2 image has a backing file", "flatten it where you trust it: qemu-img convert -O qcow2")
    if crypt:
        raise refused("The qcow2 image is encrypted", "decrypt it: qemu-img convert -O qcow2")
    if not 9 <= bits <= 21:
        raise refused(f"The qcow2 image has clusters of 2^{bits} bytes, allowed is 2^9 to 2^21")
    incompatible, compression, length = _extras(raw, size) if version == 3 else (0, 0, 72)
    header = Header(version, bits, virtual, l1_size, l1_offset, incompatible, compression)
    _check_features(header)
    _check_extensions(os.pread(fd, min(header.cluster, size), 0), length, version)
    _check_sizes(header, size, table, table_clusters)
    return header


def _extras(raw: bytes, size: int) -> tuple[int, int, int]:
    """incompatible features, compression type and header length of a version 3 header"""
    incompatible, _, _, refcount_order, length = struct.unpack_from(">QQQII", raw, 72)
    if length < 104 or length % 8 or length > size:
        raise refused(f"The qcow2 image's header says it has {length} bytes")
    if refcount_order > 6:
        raise refused(f"The qcow2 image has refcounts of 2^{refcount_order} bits")
    return incompatible, raw[104] if length > 104 else 0, length


def _check_features(header: Header) -> None:
    unknown = header.incompatible & ~KNOWN
    if header.incompatible & DATA_FILE:
        raise refused("The qcow2 image has an external data file", "flatten it where you trust it: qemu-img convert")
    if unknown:
        raise refused(f"The qcow2 image needs features that are not known (bits {unknown:#x})", "convert it to raw")
    if header.incompatible & CORRUPT:
        raise refused("The qcow2 image is marked as corrupt", "repair it: qemu-img check -r all")
    if bool(header.incompatible & COMPRESSION) != bool(header.compression) or header.compression > 1:
        raise refused(f"The qcow2 image has compression type {header.compression}, known are zlib and zstd")
    if header.incompatible & EXTENDED_L2 and header.cluster_bits < 14:
        raise refused("The qcow2 image has subclusters of less than a sector")


def _check_extensions(first: bytes, position: int, version: int) -> None:
    """Header extensions, in the first cluster only; unknown ones may be ignored, says the format"""
    while position + 8 <= len(first):
        kind, length = struct.unpack_from(">II", first, position)
        if kind == END:
            return
        if kind == DATA_FILE_NAME:
            raise refused("The qcow2 image names an external data file", "flatten it: qemu-img convert -O qcow2")
        if kind == ENCRYPTION_HEADER:
            raise refused("The qcow2 image is encrypted", "decrypt it: qemu-img convert -O qcow2")
        position += 8 + -(-length // 8) * 8
    if position > len(first) or version == 3:
        raise refused("The qcow2 image's header extensions have no end")


def _check_sizes(header: Header, size: int, table: int, table_clusters: int) -> None:
    cluster = header.cluster
    if not 0 < header.virtual_size <= VIRTUAL_MAX or header.virtual_size % SECTOR:
        raise refused(f"The qcow2 image says its disk has {header.virtual_size} bytes")
    needed = -(-header.virtual_size // header.covered)
    if header.l1_size < needed:
        raise refused("The qcow2 image's L1 table is too small for its disk")
    if header.l1_size * 8 > L1_MAX:
        raise refused("The qcow2 image's L1 table is absurdly large")
    if header.l1_offset % cluster or header.l1_offset < cluster or header.l1_offset + header.l1_size * 8 > size:
        raise refused("The qcow2 image's L1 table is not inside the file", INCOMPLETE)
    if table % cluster or table < cluster or table >= size or table_clusters * cluster > REFCOUNT_TABLE_MAX:
        raise refused("The qcow2 image's refcount table is not inside the file, or absurdly large")


class Qcow2Reader:
    """The active map's extents, and their bytes"""

    format = "qcow2"

    def __init__(self, fd: int, size: int) -> None:
        self.header = read_header(fd, size)
        self.virtual_size = self.header.virtual_size
        self._fd = fd
        self._size = size
        self._decompress = _zstd() if self.header.compression else _inflate

    def extents(self) -> Iterator[Extent]:
        """The whole disk in order, runs joined"""
        return joined(self._pieces(), self._fd, self._size, self.format)

    def _pieces(self) -> Iterator[Extent]:
        """What each L2 table says, clipped at the disk's end"""
        header = self.header
        offset, tables = 0, 0
        for entry in self._l1():
            end = min(offset + header.covered, self.virtual_size)
            if entry & L1_RESERVED:
                raise refused("The qcow2 image's L1 table has reserved bits set")
            position = entry & OFFSET
            if position == 0:
                yield Extent(offset, end - offset, None)
            else:
                tables += header.cluster
                if position % header.cluster or position + header.cluster > self._size or tables > self._size:
                    raise refused("The qcow2 image has an L2 table outside the file, misaligned or used twice")
                words = self._words(position, header.cluster)
                yield from self._extended(words, offset, end) if header.entry == 16 else self._table(words, offset, end)
            offset = end

    def _l1(self) -> Iterator[int]:
        """The L1 entries that the disk's size needs, read in pieces"""
        needed = -(-self.virtual_size // self.header.covered)
        for first in range(0, needed, 8192):
            count = min(8192, needed - first)
            yield from self._words(self.header.l1_offset + first * 8, count * 8)

    def _words(self, position: int, length: int) -> array[int]:
        """64-bit big-endian numbers"""
        return numbers(read_exactly(self._fd, self._size, position, length, "qcow2 image's tables"), "Q", "big")

    def _table(self, words: array[int], offset: int, end: int) -> Iterator[Extent]:
        """Extents of a table of 8-byte entries, most of which follow from the one before"""
        cluster = self.header.cluster
        for index, count, word in runs(words[: -(-(end - offset) // cluster)], cluster, NOWHERE):
            start = offset + index * cluster
            length = min(count * cluster, end - start)
            last = word if word in NOWHERE else word + (count - 1) * cluster
            if word == 0:
                yield Extent(start, length, None)
            elif word & L2_PACKED:
                for number in range(count):
                    at = start + number * cluster
                    yield Extent(at, min(cluster, end - at), self._packed(word + number * cluster))
            elif (word | last) & L2_RESERVED or (word & L2_ZERO and self.header.version < 3):
                raise refused("The qcow2 image has an L2 entry with reserved bits set")
            else:
                position = self._position(word, length)
                yield Extent(start, length, None if word & L2_ZERO or not position else position)

    def _extended(self, words: array[int], offset: int, end: int) -> Iterator[Extent]:
        """Extents of a table of 16-byte entries, the second half a bitmap of 32 subclusters: allocated, zero"""
        cluster = self.header.cluster
        for word, bitmap in zip(words[::2], words[1::2], strict=True):
            if offset >= end:
                return
            length = min(cluster, end - offset)
            allocated, zero = bitmap & 0xFFFFFFFF, bitmap >> 32
            if word & L2_PACKED:
                if bitmap:
                    raise refused("The qcow2 image has a compressed cluster with subclusters")
                yield Extent(offset, length, self._packed(word))
            elif word & (L2_RESERVED | L2_ZERO) or allocated & zero or (allocated and not word & OFFSET):
                raise refused("The qcow2 image has an L2 entry that contradicts itself")
            elif allocated:
                yield from self._subclusters(word, allocated, offset, length)
            else:
                yield Extent(offset, length, None)
            offset += length

    def _subclusters(self, word: int, allocated: int, offset: int, length: int) -> Iterator[Extent]:
        size = self.header.cluster // 32
        for index in range(-(-length // size)):
            part = min(size, length - index * size)
            source = None
            if allocated >> index & 1:
                source = self._position(word, index * size + part) + index * size
            yield Extent(offset + index * size, part, source)

    def _position(self, word: int, length: int) -> int:
        """Where a cluster lies in the file, 0 for nowhere; `length` bytes of it must be there"""
        position = word & OFFSET
        if position % self.header.cluster:
            raise refused("The qcow2 image has a misaligned cluster")
        if position and not word & L2_ZERO and not is_inside(position, length, self._size):
            raise refused("The qcow2 image has data past its end", INCOMPLETE)
        return position

    def _packed(self, word: int) -> Packed:
        """Where a compressed cluster lies; its length is known in sectors only"""
        bits = 62 - (self.header.cluster_bits - 8)
        position = word & ((1 << bits) - 1)
        sectors = (word & (L2_PACKED - 1)) >> bits
        if not 0 < position < self._size:
            raise refused("The qcow2 image has data past its end", INCOMPLETE)
        return Packed(position, min((sectors + 1) * SECTOR - position % SECTOR, self._size - position))

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """A compressed cluster's bytes, never more than a cluster"""
        data = bytearray(packed.length)
        read_into(self._fd, memoryview(data), packed.position)
        plain = self._decompress(data, self.header.cluster)
        if len(plain) != self.header.cluster:
            raise refused("The qcow2 image has a damaged compressed cluster", INCOMPLETE)
        into[:] = memoryview(plain)[: len(into)]


def _inflate(data: bytearray, limit: int) -> bytes:
    """Raw deflate; what is broken comes out short"""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit)
    except zlib.error:
        return b""


def _zstd() -> Callable[[bytearray, int], bytes]:
    """A decompressor for zstd, which is not in Python's library before 3.14"""
    try:
        import zstandard
    except ImportError:
        raise ProviderError(
            "E-NODE", "The qcow2 image is compressed with zstd and python's zstandard is missing", "install it"
        ) from None

    def decompress(data: bytearray, limit: int) -> bytes:
        # a stream, because the one-shot call believes the size that the frame's header claims
        try:
            with zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX).stream_reader(data) as stream:
                return bytes(stream.read(limit))
        except zstandard.ZstdError:
            return b""

    return decompress
