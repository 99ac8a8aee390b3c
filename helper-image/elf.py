"""Which shared libraries an ELF file asks for: the dynamic section's DT_NEEDED (System V gABI, chapter 5)"""

from __future__ import annotations

import struct

MAGIC = b"\x7fELF\x02\x01"
"""64-bit, little-endian: the only kind in an amd64 image."""
PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB = 1, 5


def needed(data: bytes) -> list[str]:
    """Names of the libraries the ELF file in `data` needs; none for anything else"""
    if not data.startswith(MAGIC):
        return []
    (offset,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQ", data, offset + size * number) for number in range(count)]
    dynamic = [(entry[2], entry[5]) for entry in headers if entry[0] == PT_DYNAMIC]
    if not dynamic:
        return []
    start, length = dynamic[0]
    tags = list(struct.iter_unpack("<QQ", data[start : start + length // 16 * 16]))
    address = next(value for tag, value in tags if tag == DT_STRTAB)
    strings = next(
        address - virtual + place
        for kind, _, place, virtual, _, stored in headers
        if kind == PT_LOAD and virtual <= address < virtual + stored
    )
    return [_string(data, strings + value) for tag, value in tags if tag == DT_NEEDED]


def _string(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode()
