"""Compressed files of every kind, made by Python's own modules and zstandard"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable

import zstandard

MIB = 1 << 20


def zstd(data: bytes) -> bytes:
    """A frame with its checksum"""
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(data)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "bzip2": lambda data: bz2.compress(data, 1),
    "xz": lambda data: lzma.compress(data, preset=0),
    "zstd": zstd,
}
SUFFIX = {"gzip": "gz", "bzip2": "bz2", "xz": "xz", "zstd": "zst"}


def zero_bomb(size: int) -> bytes:
    """A zstd frame of `size` zeros, some three millionths as long: blocks of one byte's repetition (RFC 8878)"""
    # window descriptor of 128 KiB; a block: last, type RLE, size
    blocks, rest = divmod(size, 128 << 10)
    full = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = (rest << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    return struct.pack("<IBB", 0xFD2FB528, 0, 7 << 3) + full * blocks + last
