"""A GUID partition table with one partition (UEFI specification 2.10, chapter 5)

Protective MBR, header, entries; and at the end entries and header once more. The image ends there, the disk may be
larger: the helper moves them to the disk's end when it grows the partition.
"""

from __future__ import annotations

import struct
import uuid
from binascii import crc32

from helper_host.image.partitioning.layout import BOOT_SIGNATURE, LINUX, SECTOR, START, Kind
from helper_host.image.partitioning.msdos import ENTRIES, entry

REVISION = 0x00010000
COUNT, ENTRY_SIZE = 128, 128
ARRAY = COUNT * ENTRY_SIZE // SECTOR
"""Sectors of the entries."""
FIRST_USABLE = 2 + ARRAY
PROTECTIVE = 0xEE
SIZE_MAX = 2**32 - 1
"""What the protective entry says of disks that are larger."""

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")


class Gpt:
    """The frame around one filesystem; an `image.frame.Frame`"""

    name = "gpt"
    offset = START * SECTOR

    def __init__(self, kind: Kind = LINUX) -> None:
        self._kind = uuid.UUID(kind.gpt)
        self._disk = uuid.uuid4()
        self._partition = uuid.uuid4()

    def head(self, size: int) -> bytes:
        """The first MiB"""
        last = self._last(size)
        sector = bytearray(SECTOR)
        # CHS 0/0/2 is what the specification asks for, and what the sector's number gives
        sector[ENTRIES : ENTRIES + 16] = entry(0, PROTECTIVE, 1, min(last, SIZE_MAX))
        sector[510:] = BOOT_SIGNATURE
        return (bytes(sector) + self._header(size, 1, last, 2) + self._entries(size)).ljust(self.offset, b"\0")

    def tail(self, size: int) -> bytes:
        """The backup"""
        last = self._last(size)
        return self._entries(size) + self._header(size, last, 1, last - ARRAY)

    @staticmethod
    def _last(size: int) -> int:
        """The last sector, which is the backup header's"""
        return START + size // SECTOR + ARRAY

    def _header(self, size: int, own: int, other: int, entries_at: int) -> bytes:
        last_usable = self._last(size) - ARRAY - 1
        fields = [b"EFI PART", REVISION, _HEADER.size, 0, 0, own, other, FIRST_USABLE, last_usable,
                  self._disk.bytes_le, entries_at, COUNT, ENTRY_SIZE, crc32(self._entries(size))]  # fmt: skip
        # its own checksum is made with 0 in its place
        fields[3] = crc32(_HEADER.pack(*fields))
        return _HEADER.pack(*fields).ljust(SECTOR, b"\0")

    def _entries(self, size: int) -> bytes:
        last = START + size // SECTOR - 1
        first = _ENTRY.pack(self._kind.bytes_le, self._partition.bytes_le, START, last, 0, bytes(72))
        return first.ljust(COUNT * ENTRY_SIZE, b"\0")
