"""GUID partition tables: both headers, their checksums, the protective MBR

UEFI specification 2.10, chapter 5. The primary header is believed, as the kernel does; a damaged primary is mended
from the backup. That the backup is not at the disk's end is normal here: the image was smaller than the disk.
"""

from __future__ import annotations

import os
import struct
from binascii import crc32

from helper_agent.disk.medium import Medium
from helper_agent.disk.table import Partition, Table, broken, misfit, no_overlaps
from helper_agent.records import NamedTuple

SIGNATURE = b"EFI PART"
SWAP_TYPE = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"
PROTECTIVE = 0xEE
MBR_ENTRIES = 446
"""Offset of the four entries of 16 bytes in sector 0."""

_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_ENTRIES_MAX = 1024
_ENTRY_SIZES = (128, 256, 512, 1024)


class Header(NamedTuple):
    """A GPT header that passed its own checks, with its entries"""

    other: int
    """Sector of the other header."""
    first_usable: int
    last_usable: int
    disk_guid: bytes
    entry_size: int
    entries: bytes
    revision: int


class Gpt(Table):
    """A GUID partition table; see `Table`"""

    kind = "gpt"

    def __init__(self, medium: Medium, header: Header, mbr: bytes) -> None:
        super().__init__(medium, _partitions(header))
        self._header = header
        self._mbr = mbr
        self.hybrid = len(_mbr_entries(mbr)) > 1
        self._check()

    def _check(self) -> None:
        identities: dict[str, int] = {}
        for one in self.partitions:
            if one.size < 1:
                raise broken(f"partition {one.number} ends before it starts")
            if one.start < self._header.first_usable or one.end > self._header.last_usable + 1:
                raise broken(f"partition {one.number} lies outside of the usable area")
            if one.uuid in identities:
                raise broken(f"partitions {identities[one.uuid]} and {one.number} have the same GUID {one.uuid}")
            identities[one.uuid] = one.number
        no_overlaps(self.partitions)

    @property
    def _entry_sectors(self) -> int:
        return -(-len(self._header.entries) // self.sector_size)

    @property
    def _last_usable(self) -> int:
        """Of the disk as it is now: behind it lie the backup's entries and, last, its header"""
        return self.sectors - 2 - self._entry_sectors

    @property
    def disk_end(self) -> int:
        """See `Table.disk_end`"""
        return self._down(self._last_usable + 1)

    def room_end(self, number: int) -> int:
        """See `Table.room_end`"""
        partition = self._known(number)
        behind = [other.start for other in self.partitions if other.start >= partition.end]
        return max(self._down(min([*behind, self._last_usable + 1])), partition.end)

    def grow(self, number: int) -> int:
        """See `Table.grow`"""
        partition = self._known(number)
        more = self.room_end(number) - partition.end
        if more:
            self._replace(partition._replace(size=partition.size + more))
        return more

    def move(self, number: int, start: int) -> None:
        """See `Table.move`"""
        self._replace(self._known(number)._replace(start=start))

    def free_tail(self) -> tuple[int, int]:
        """See `Table.free_tail`"""
        end = self.disk_end
        start = self._up(max((partition.end for partition in self.partitions), default=self._header.first_usable))
        return min(start, end), end

    def add_swap(self, sectors: int) -> Partition:
        """See `Table.add_swap`"""
        start, end = self._swap_range(sectors)
        used = {partition.number for partition in self.partitions}
        slots = len(self._header.entries) // self._header.entry_size
        number = next((number for number in range(1, slots + 1) if number not in used), 0)
        if not number:
            raise misfit(f"All {slots} entries of the partition table are used")
        swap = Partition(number, start, end - start, SWAP_TYPE, _text(_random_guid()), "swap")
        self.partitions = (*self.partitions, swap)
        return swap

    def _known(self, number: int) -> Partition:
        partition = self.partition(number)
        if partition is None:
            raise KeyError(number)
        return partition

    def write(self, medium: Medium) -> None:
        """Backup first, so that at any moment one of the two is whole; see `Table.write`"""
        header = self._header
        entries = bytearray(header.entries)
        for partition in self.partitions:
            at = (partition.number - 1) * header.entry_size
            if not any(entries[at : at + 16]):
                name = partition.label.encode("utf-16-le").ljust(72, b"\0")
                _ENTRY.pack_into(entries, at, _bytes(partition.kind), _bytes(partition.uuid), 0, 0, 0, name)
            struct.pack_into("<QQ", entries, at + 32, partition.start, partition.end - 1)
        padded = bytes(entries).ljust(self._entry_sectors * self.sector_size, b"\0")
        self._header = header._replace(last_usable=self._last_usable, entries=bytes(entries))
        medium.write(self.sectors - 1 - self._entry_sectors, padded)
        medium.write(self.sectors - 1, self._packed(self.sectors - 1, 1, self.sectors - 1 - self._entry_sectors))
        medium.sync()
        medium.write(2, padded)
        medium.write(1, self._packed(1, self.sectors - 1, 2))
        medium.write(0, self._new_mbr() + medium.read(0)[512:])
        medium.sync()
        self.must_write = False

    def _packed(self, own: int, other: int, entries_at: int) -> bytes:
        header = self._header
        count = len(header.entries) // header.entry_size
        fields = [SIGNATURE, header.revision, _HEADER.size, 0, 0, own, other, header.first_usable, header.last_usable,
                  header.disk_guid, entries_at, count, header.entry_size, crc32(header.entries)]  # fmt: skip
        fields[3] = crc32(_HEADER.pack(*fields))
        return _HEADER.pack(*fields).ljust(self.sector_size, b"\0")

    def _new_mbr(self) -> bytes:
        """The protective entry covers the whole disk; entries of a hybrid MBR follow their partition"""
        mbr = bytearray(self._mbr[:512])
        for at in range(MBR_ENTRIES, 510, 16):
            start, _ = struct.unpack_from("<II", mbr, at + 8)
            if mbr[at + 4] == PROTECTIVE:
                last = self.sectors - 1 if len(_mbr_entries(self._mbr)) == 1 else _covered(self._mbr, at)
                struct.pack_into("<I", mbr, at + 12, min(last, 0xFFFFFFFF))
            elif mbr[at + 4]:
                partition = next((one for one in self.partitions if one.start == start), None)
                if partition:
                    struct.pack_into("<I", mbr, at + 12, min(partition.size, 0xFFFFFFFF))
        return bytes(mbr)


def read(medium: Medium, mbr: bytes) -> Gpt:
    """The table of a disk whose sector 0 `mbr` has a protective entry

    Raises:
        TaskError: E-PARTITION-TABLE
        OSError
    """
    table = _from_headers(medium, mbr)
    if table.hybrid:
        table.remarks.append("the table is a hybrid of GPT and MBR; the GPT is used, as the kernel does")
    return table


def _from_headers(medium: Medium, mbr: bytes) -> Gpt:
    try:
        primary = _header(medium, 1)
    except _Damaged as damage:
        return _from_backup(medium, mbr, str(damage))
    table = Gpt(medium, primary, mbr)
    try:
        backup = _header(medium, primary.other)
        if backup.entries != primary.entries:
            raise _Damaged("its entries differ")
    except _Damaged as damage:
        table.remarks.append(f"the backup of the partition table is damaged ({damage})")
        table.must_write = True
    return table


def _from_backup(medium: Medium, mbr: bytes, why: str) -> Gpt:
    for at in _backup_places(medium, mbr):
        try:
            table = Gpt(medium, _header(medium, at), mbr)
        except _Damaged:
            continue
        table.remarks.append(f"the partition table is damaged ({why}), its backup is used")
        table.must_write = True
        return table
    raise broken(f"{why}, and there is no intact backup")


class _Damaged(Exception):
    """One of the two copies is, in the way the message says"""


def _header(medium: Medium, at: int) -> Header:
    """The header in sector `at` with its entries

    Raises:
        _Damaged
    """
    where = f"the GPT header in sector {at}"
    if not medium.has(at) or at < 1:
        raise _Damaged(f"{where} lies behind the disk's end")
    raw = medium.read(at)
    (signature, revision, size, checksum, _, own, other, first, last, guid, entries_at, count, entry_size,
     entries_checksum) = _HEADER.unpack_from(raw)  # fmt: skip
    if signature != SIGNATURE:
        raise _Damaged(f"{where} is missing")
    if not _HEADER.size <= size <= medium.sector_size:
        raise _Damaged(f"{where} claims a size of {size} bytes")
    if crc32(raw[:16] + bytes(4) + raw[20:size]) != checksum:
        raise _Damaged(f"{where} has a wrong checksum")
    if own != at:
        raise _Damaged(f"{where} says it is in sector {own}")
    if entry_size not in _ENTRY_SIZES or not 1 <= count <= _ENTRIES_MAX:
        raise _Damaged(f"{where} claims {count} entries of {entry_size} bytes")
    sectors = -(-count * entry_size // medium.sector_size)
    if not 2 <= first <= last < medium.sectors:
        raise _Damaged(f"{where} claims a usable area of sectors {first} to {last} on a disk of {medium.sectors}")
    # The array at the disk's start has its place in sector 2, where it is written back to
    if not medium.has(entries_at, sectors) or entries_at < 2 or first < 2 + sectors or first <= entries_at <= last:
        raise _Damaged(f"{where} places its entries where they can't be")
    entries = medium.read(entries_at, sectors)[: count * entry_size]
    if crc32(entries) != entries_checksum:
        raise _Damaged(f"{where} has entries with a wrong checksum")
    return Header(other, first, last, guid, entry_size, entries, revision)


def _backup_places(medium: Medium, mbr: bytes) -> list[int]:
    """Where a backup may lie: the disk's end, or the end of the smaller disk the image was made for, which the damaged
    header or the protective MBR may still know"""
    places = [medium.sectors - 1]
    if medium.has(1):
        raw = medium.read(1)
        if raw.startswith(SIGNATURE):
            places.append(struct.unpack_from("<Q", raw, 32)[0])
    places += [start + size - 1 for kind, start, size in _mbr_entries(mbr) if kind == PROTECTIVE]
    return places


def _mbr_entries(mbr: bytes) -> list[tuple[int, int, int]]:
    """(type, start, size) of the used entries in sector 0"""
    found = []
    for at in range(MBR_ENTRIES, 510, 16):
        start, size = struct.unpack_from("<II", mbr, at + 8)
        if mbr[at + 4]:
            found.append((mbr[at + 4], start, size))
    return found


def _covered(mbr: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", mbr, at + 12)[0])


def _partitions(header: Header) -> list[Partition]:
    found = []
    for index in range(len(header.entries) // header.entry_size):
        kind, uuid, first, last, _, name = _ENTRY.unpack_from(header.entries, index * header.entry_size)
        if any(kind):
            label = name.decode("utf-16-le", "replace").split("\0", 1)[0]
            found.append(Partition(index + 1, first, last - first + 1, _text(kind), _text(uuid), label))
    return found


def _text(guid: bytes) -> str:
    """The usual notation of a GUID; its first three fields are little endian (UEFI, appendix A)"""
    first, second, third = struct.unpack_from("<IHH", guid)
    return f"{first:08x}-{second:04x}-{third:04x}-{guid[8:10].hex()}-{guid[10:].hex()}"


def _bytes(guid: str) -> bytes:
    raw = bytes.fromhex(guid.replace("-", ""))
    return raw[3::-1] + raw[5:3:-1] + raw[7:5:-1] + raw[8:]


def _random_guid() -> bytes:
    raw = bytearray(os.urandom(16))
    raw[7] = raw[7] & 0x0F | 0x40  # version 4, in the little-endian third field
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)
