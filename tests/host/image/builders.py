"""Images for tests: qcow2 made byte by byte, since no tool makes broken ones"""

from __future__ import annotations

import struct
import zlib

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
MIB = 1 << 20

DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
COPIED = 1 << 63
PACKED = 1 << 62


def qcow2(
    *,
    version: int = 3,
    backing: int = 0,
    backing_size: int = 0,
    cluster_bits: int = CLUSTER_BITS,
    size: int = 4 * MIB,
    crypt: int = 0,
    l1_size: int = 1,
    l1_offset: int = 3 * CLUSTER,
    refcount_offset: int = CLUSTER,
    refcount_clusters: int = 1,
    incompatible: int = 0,
    refcount_order: int = 4,
    header_length: int = 112,
    compression: int = 0,
    extensions: bytes = bytes(8),
    l1: tuple[int, ...] = (COPIED | 4 * CLUSTER,),
    l2: dict[int, int] | None = None,
    data: bytes = b"",
    magic: bytes = b"QFI\xfb",
) -> bytes:
    """An image with header, refcounts, one L1, one L2 table (by default: cluster 0 is data), then `data`

    Clusters of the file: 0 header, 1 refcount table, 2 refcounts, 3 L1, 4 L2, 5 and up data.
    """
    head = struct.pack(
        ">4sIQIIQIIQQIIQ", magic, version, backing, backing_size, cluster_bits, size, crypt, l1_size, l1_offset,
        refcount_offset, refcount_clusters, 0, 0,
    )  # fmt: skip
    if version >= 3:
        head += struct.pack(">QQQIIB7x", incompatible, 0, 0, refcount_order, header_length, compression)
        head = head[: max(header_length, 104)]
    head += extensions
    entries = {0: COPIED | 5 * CLUSTER} if l2 is None else l2
    table = bytearray(CLUSTER)
    for index, entry in entries.items():
        struct.pack_into(">Q", table, index * 8, entry)
    content = data or b"\xa5" * CLUSTER
    return b"".join(
        (
            head.ljust(CLUSTER, b"\0"),
            struct.pack(">Q", 2 * CLUSTER).ljust(CLUSTER, b"\0"),
            bytes(CLUSTER),
            struct.pack(f">{len(l1)}Q", *l1).ljust(CLUSTER, b"\0"),
            bytes(table),
            content,
        )
    )


def extension(kind: int, data: bytes) -> bytes:
    """A header extension and the end of the list"""
    return struct.pack(">II", kind, len(data)) + data.ljust(-(-len(data) // 8) * 8, b"\0") + bytes(8)


def packed_entry(position: int, length: int, cluster_bits: int = CLUSTER_BITS) -> int:
    """The L2 entry of a compressed cluster"""
    sectors = (position % 512 + length - 1) // 512
    return PACKED | sectors << (62 - (cluster_bits - 8)) | position


def deflated(data: bytes) -> bytes:
    """Raw deflate, as qcow2 has it"""
    packer = zlib.compressobj(wbits=-12)
    return packer.compress(data) + packer.flush()
