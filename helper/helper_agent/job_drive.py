"""Files of the config drive, read straight from its ISO 9660 image (ECMA-119)

Mounting it would take the isofs module, 40 ms of them in an emulated guest; the root folder of an image we made
ourselves takes two reads. The drive comes from the node and is trusted; the checks are for one that is half written.
"""

from __future__ import annotations

import os
import struct

SECTOR = 2048
PVD_OFFSET = 16 * SECTOR
"""Primary volume descriptor (ECMA-119 section 8.4), in the first sector after the system area."""
ROOT_RECORD = 156
"""Offset of the root folder's record in it."""


class DriveError(Exception):
    """The config drive is not one, or lacks the file that was asked for"""


def read_file(fd: int, name: str, *, limit: int) -> bytes:
    """The file `name` (its identifier without ";1") in the root folder of the image open as `fd`

    Raises:
        DriveError: no ISO 9660 image, no such file, more than `limit` bytes, or cut short
        OSError: reading failed
    """
    descriptor = os.pread(fd, SECTOR, PVD_OFFSET)
    if len(descriptor) < SECTOR or descriptor[:7] != b"\x01CD001\x01":
        raise DriveError("the config drive is not an ISO 9660 image")
    start, size = _extent(descriptor, ROOT_RECORD)
    folder = _read(fd, start, size, 16 * SECTOR)
    offset = 0
    while offset < len(folder):
        length = folder[offset]
        if length == 0:  # records don't cross sectors (section 6.8.1.1)
            offset = (offset // SECTOR + 1) * SECTOR
            continue
        found = folder[offset + 33 : offset + 33 + folder[offset + 32]]
        if found.partition(b";")[0] == name.encode():
            return _read(fd, *_extent(folder, offset), limit)
        offset += length
    raise DriveError(f"the config drive has no file {name}")


def _extent(data: bytes, record: int) -> tuple[int, int]:
    """First sector and bytes of what a directory record (section 9.1) describes"""
    try:
        start, size = struct.unpack_from("<I4xI", data, record + 2)
    except struct.error:
        raise DriveError("the config drive's folder is cut short") from None
    return start, size


def _read(fd: int, start: int, size: int, limit: int) -> bytes:
    if size > limit:
        raise DriveError(f"a file of {size} bytes on the config drive")
    content = b""
    while len(content) < size and (part := os.pread(fd, size - len(content), start * SECTOR + len(content))):
        content += part
    if len(content) != size:
        raise DriveError("a file on the config drive is cut short")
    return content
