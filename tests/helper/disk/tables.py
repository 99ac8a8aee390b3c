"""Partition tables made byte by byte, good ones and bad ones: no tool would write the bad ones

tables.gpt(path, [tables.Slot(2048, 4096)], sectors=65536)
tables.msdos(path, [tables.Entry(0x83, 2048, 4096)])
"""

from __future__ import annotations

import struct
import uuid
from binascii import crc32
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

MIB = 1024 * 1024
SECTORS = 128 * 2048
"""A disk of 128 MiB in sectors of 512 bytes."""
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
DISK_GUID = uuid.UUID("11111111-2222-3333-4444-555555555555")
COUNT, ENTRY_SIZE = 128, 128


class Slot(NamedTuple):
    """A GPT entry: first sector and size in sectors"""

    start: int
    size: int
    guid: uuid.UUID | None = None
    name: str = ""


class Entry(NamedTuple):
    """An msdos entry, written as it is"""

    kind: int
    start: int
    size: int
    status: int = 0


Change = Callable[[dict[str, int]], object]
"""Changes a header's fields before its checksum is made."""


def gpt(
    path: Path,
    slots: Sequence[Slot],
    *,
    sectors: int = SECTORS,
    sector_size: int = 512,
    disk_sectors: int = 0,
    mbr: Sequence[Entry] | None = None,
    primary: Change | None = None,
    backup: Change | None = None,
    after: Mapping[int, bytes] | None = None,
) -> Path:
    """A GPT for a disk of `sectors` on a disk of `disk_sectors` (0: the same)

    Args:
        mbr: entries of sector 0 in place of the protective one
        primary, backup: change a header's fields (own, other, first, last, entries, count, size, header_size)
        after: bytes to put at byte offsets (negative: from the end of the table's disk), checksums unmended
    """
    entries = b"".join(_slot(index, slot) for index, slot in enumerate(slots)).ljust(COUNT * ENTRY_SIZE, b"\0")
    array = -(-len(entries) // sector_size)
    first, last = 2 + array, sectors - 2 - array
    with path.open("wb") as file:

        def put(sector: int, content: bytes) -> None:
            file.seek(sector * sector_size)
            file.write(content)

        put(0, _sector(mbr if mbr is not None else [Entry(0xEE, 1, min(sectors - 1, 0xFFFFFFFF))]))
        for own, other, at, change in ((1, sectors - 1, 2, primary), (sectors - 1, 1, sectors - 1 - array, backup)):
            put(at, entries)
            fields = {"own": own, "other": other, "first": first, "last": last, "entries": at, "count": COUNT,
                      "size": ENTRY_SIZE, "header_size": 92}  # fmt: skip
            if change:
                change(fields)
            put(own, _header(fields, crc32(entries)))
        for offset, content in (after or {}).items():
            file.seek(offset if offset >= 0 else sectors * sector_size + offset)
            file.write(content)
        # Less than was written above where the disk is smaller than its table
        file.truncate((disk_sectors or sectors) * sector_size)
    return path


def _header(fields: Mapping[str, int], entries_checksum: int) -> bytes:
    def packed(checksum: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, fields["header_size"], checksum, 0, fields["own"],
            fields["other"], fields["first"], fields["last"], DISK_GUID.bytes_le, fields["entries"], fields["count"],
            fields["size"], entries_checksum,
        )  # fmt: skip

    return packed(crc32(packed(0)))


def _slot(index: int, slot: Slot) -> bytes:
    guid = slot.guid or uuid.UUID(int=index + 1)
    name = slot.name.encode("utf-16-le").ljust(72, b"\0")
    last = (slot.start + slot.size - 1) % 2**64
    return struct.pack("<16s16sQQQ72s", LINUX.bytes_le, guid.bytes_le, slot.start, last, 0, name)


def msdos(
    path: Path,
    entries: Sequence[Entry],
    *,
    records: Mapping[int, Sequence[Entry]] | None = None,
    sectors: int = SECTORS,
    sector_size: int = 512,
    after: Mapping[int, bytes] | None = None,
) -> Path:
    """An msdos table; `records` are extended boot records by their sector, their entries as on the disk"""
    with path.open("wb") as file:
        file.truncate(sectors * sector_size)
        file.write(_sector(entries))
        for sector, inner in (records or {}).items():
            file.seek(sector * sector_size)
            file.write(_sector(inner, identity=0))
        for offset, content in (after or {}).items():
            file.seek(offset)
            file.write(content)
    return path


def _sector(entries: Sequence[Entry], identity: int = 0xCAFE0001) -> bytes:
    sector = bytearray(512)
    struct.pack_into("<I", sector, 440, identity)
    for index, entry in enumerate(entries):
        struct.pack_into("<B3xB3xII", sector, 446 + 16 * index, entry.status, entry.kind, entry.start, entry.size)
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def ext4_head() -> bytes:
    """The start of a disk that is one ext4 filesystem: enough for its signature"""
    head = bytearray(4096)
    head[1080:1082] = b"\x53\xef"
    struct.pack_into("<I", head, 1024 + 96, 0x40)
    return bytes(head)
