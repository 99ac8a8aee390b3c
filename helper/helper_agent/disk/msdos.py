"""msdos partition tables: four primary entries, and the chain of extended boot records with the logical ones

The layout is the PC's (in no standard; see the kernel's block/partitions/msdos.c). Offsets in an extended boot record
(EBR): entry 1 is relative to the EBR, entry 2, the next EBR, to the start of the extended partition.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from helper_agent.disk.medium import Medium
from helper_agent.disk.table import Partition, Table, broken, misfit, no_overlaps
from helper_agent.records import NamedTuple

SWAP_TYPE = "82"
DATA_TYPE = "83"
EXTENDED = (0x05, 0x0F, 0x85)
ENTRIES = 446
MAGIC = b"\x55\xaa"
LOGICAL_MAX = 60
"""Most logical partitions, sfdisk's limit as well."""
SECTOR_MAX = 2**32 - 1
"""Starts and sizes are 32 bit."""


class Entry(NamedTuple):
    """One of the four entries of 16 bytes, as it is on the disk"""

    status: int
    kind: int
    start: int
    size: int

    @property
    def used(self) -> bool:
        """The kernel ignores entries without a size; sfdisk those without a type"""
        return self.kind != 0 and self.size != 0


class Msdos(Table):
    """An msdos partition table; see `Table`"""

    kind = "msdos"

    def __init__(self, medium: Medium, sector: bytes) -> None:
        super().__init__(medium, ())
        self._mbr = bytearray(sector[:512])
        self._ebrs: list[int] = []
        """Sectors of the extended boot records, in the chain's order."""
        self._homes: dict[int, int] = {}
        """Number of a logical partition -> sector of its EBR."""
        self._fresh: set[int] = set()
        """EBRs that aren't on the disk yet: what is in their sectors is none of ours."""
        self._identity = struct.unpack_from("<I", sector, 440)[0]
        primary = [self._primary(number, entry) for number, entry in enumerate(entries(sector), 1) if entry.used]
        for one in primary:
            if one.start < 1 or one.end > medium.sectors:
                raise broken(f"partition {one.number} ends behind the disk's end" if one.start else
                             f"partition {one.number} covers the table itself")  # fmt: skip
        no_overlaps(primary)
        extended = [one for one in primary if one.role == "extended"]
        self._start_on_disk = extended[0].start if extended else 0
        if len(extended) > 1:
            raise broken(f"partitions {extended[0].number} and {extended[1].number} are both extended")
        logical = self._logical(medium, extended[0]) if extended else []
        self.partitions = (*primary, *logical)

    def _primary(self, number: int, entry: Entry) -> Partition:
        role = "extended" if entry.kind in EXTENDED else "primary"
        return Partition(number, entry.start, entry.size, f"{entry.kind:02x}", self._uuid(number), "", role)

    def _uuid(self, number: int) -> str:
        return f"{self._identity:08x}-{number:02x}"

    def _logical(self, medium: Medium, extended: Partition) -> list[Partition]:
        found: list[Partition] = []
        at = extended.start
        while True:
            if at in self._ebrs:
                raise broken(f"the chain of logical partitions loops at sector {at}")
            if len(self._ebrs) >= LOGICAL_MAX:
                raise broken(f"more than {LOGICAL_MAX} logical partitions")
            self._ebrs.append(at)
            sector = medium.read(at)
            if sector[510:512] != MAGIC:
                if at == extended.start and not any(sector[ENTRIES:512]):
                    self._ebrs.clear()
                    self.remarks.append("the extended partition is empty")
                    break
                raise broken(f"the chain of logical partitions ends in sector {at} without a boot record")
            data, link, *rest = entries(sector)
            if any(entry.used for entry in rest) or (data.used and data.kind in EXTENDED):
                raise broken(f"the extended boot record in sector {at} has entries no tool makes")
            if data.used:
                number = 5 + len(found)
                kind = f"{data.kind:02x}"
                one = Partition(number, at + data.start, data.size, kind, self._uuid(number), "", "logical")
                if data.start < 1 or one.end > extended.end:
                    raise broken(f"logical partition {number} lies outside of the extended partition")
                found.append(one)
                self._homes[number] = at
            if not link.used:
                break
            if link.kind not in EXTENDED:
                raise broken(f"the extended boot record in sector {at} links to something else than another one")
            at = extended.start + link.start
            if not extended.start < at < extended.end:
                raise broken(f"the chain of logical partitions leads out of the extended partition to sector {at}")
        no_overlaps(found)
        for one in found:
            if hit := [at for at in self._ebrs if one.start <= at < one.end]:
                raise broken(f"logical partition {one.number} covers the boot record in sector {hit[0]}")
        return found

    @property
    def _extended(self) -> Partition | None:
        return next((partition for partition in self.partitions if partition.role == "extended"), None)

    @property
    def disk_end(self) -> int:
        """See `Table.disk_end`"""
        return self._down(min(self.sectors, SECTOR_MAX))

    def _primary_end(self, partition: Partition) -> int:
        behind = [other.start for other in self.partitions if other.role != "logical" and other.start >= partition.end]
        return max(self._down(min([*behind, self.disk_end])), partition.end)

    def room_end(self, number: int) -> int:
        """See `Table.room_end`"""
        partition = self._known(number)
        if partition.role != "logical":
            return self._primary_end(partition)
        extended = self._extended
        assert extended is not None
        behind = [at for at in self._ebrs if at >= partition.end]
        behind += [other.start for other in self.partitions if other.role == "logical" and other.start >= partition.end]
        end = self._down(min(behind)) if behind else self._primary_end(extended)
        return max(end, partition.end)

    def grow(self, number: int) -> int:
        """The extended partition grows with its last logical one; see `Table.grow`"""
        partition = self._known(number)
        more = self.room_end(number) - partition.end
        if more:
            self._replace(partition._replace(size=partition.size + more))
            self._contain(partition.end + more)
        return more

    def _contain(self, end: int) -> None:
        """The extended partition reaches at least to `end` if `end` is a logical partition's"""
        extended = self._extended
        if extended and any(one.role == "logical" and one.end == end for one in self.partitions) and end > extended.end:
            self._replace(extended._replace(size=end - extended.start))

    def free_tail(self) -> tuple[int, int]:
        """See `Table.free_tail`"""
        last = max(self.partitions, key=lambda partition: (partition.end, partition.role != "extended"), default=None)
        used = last.end if last else 1
        if last and last.role == "extended" and self._can_be_logical:
            # An extended partition's own tail is free for another logical one
            used = max((one.end for one in self.partitions if one.role == "logical"), default=last.start + 1)
        start = self._up(used)
        return min(start, self.disk_end), self.disk_end

    @property
    def _slots(self) -> list[int]:
        return [number for number in range(1, 5) if self.partition(number) is None]

    @property
    def _can_be_logical(self) -> bool:
        extended = self._extended
        return extended is not None and all(one.start < extended.end for one in self.partitions) and bool(self._ebrs)

    def add_swap(self, sectors: int) -> Partition:
        """A primary one where an entry is free and the room isn't the extended partition's; see `Table.add_swap`"""
        return self._add(*self._swap_range(sectors), SWAP_TYPE)

    def add_data(self, sectors: int, label: str) -> Partition:
        """See `Table.add_data`; a logical one has its boot record in its range"""
        del label  # no name is in such a table
        more = self.alignment if self._extended else 0
        return self._add(*self._tail(sectors + more, "a partition", "make the disk larger"), DATA_TYPE)

    def _add(self, start: int, end: int, kind: str) -> Partition:
        extended = self._extended
        if extended and (not self._slots or start < extended.end):
            return self._add_logical(start, end, kind)
        if not self._slots:
            raise misfit("All four primary entries of the partition table are used")
        made = Partition(self._slots[0], start, end - start, kind, self._uuid(self._slots[0]))
        self.partitions = tuple(sorted((*self.partitions, made)))
        return made

    def _add_logical(self, start: int, end: int, kind: str) -> Partition:
        logical = [one for one in self.partitions if one.role == "logical"]
        if not self._can_be_logical or len(self._ebrs) >= LOGICAL_MAX:
            raise misfit("No entry of the partition table is free for another partition")
        number = 5 + len(logical)
        # Its boot record goes to the first sector of its range, the partition an alignment behind it: fdisk's habit
        made = Partition(number, start + self.alignment, end - start - self.alignment, kind, self._uuid(number),
                         "", "logical")  # fmt: skip
        if made.size < 1:
            raise misfit("The swap is too small for a logical partition", "ask for more swap")
        self._ebrs.append(start)
        self._homes[number] = start
        self._fresh.add(start)
        self.partitions = (*self.partitions, made)
        self._contain(end)
        return made

    def home(self, number: int) -> int:
        """Sector of the boot record of the logical partition `number`"""
        return self._homes[number]

    def move(self, number: int, start: int) -> None:
        """A logical partition keeps the distance to its boot record; see `Table.move`"""
        partition = self._known(number)
        by = start - partition.start
        self._replace(partition._replace(start=start))
        if partition.role == "extended":
            for one in self.partitions:
                if one.role == "logical":
                    self._replace(one._replace(start=one.start + by))
            self._move_records(self._ebrs, by)
        elif partition.role == "logical":
            self._move_records([self._homes[number]], by)
            self._contain(start + partition.size)

    def _move_records(self, sectors: Iterable[int], by: int) -> None:
        moved = {at: at + by for at in sectors}
        self._ebrs = [moved.get(at, at) for at in self._ebrs]
        self._homes = {number: moved.get(at, at) for number, at in self._homes.items()}
        self._fresh = {at for at in self._fresh if at not in moved} | {*moved.values()}

    @property
    def identity(self) -> str:
        """See `Table.identity`"""
        return f"{self._identity:08x}"

    def identify(self, new: Callable[[str], str]) -> None:
        """See `Table.identify`"""
        self._identity = int(new(self.identity), 16)
        struct.pack_into("<I", self._mbr, 440, self._identity)
        self.partitions = tuple(one._replace(uuid=self._uuid(one.number)) for one in self.partitions)

    def _known(self, number: int) -> Partition:
        partition = self.partition(number)
        if partition is None:
            raise KeyError(number)
        return partition

    def write(self, medium: Medium) -> None:
        """The chain from its end to its start, so that what is linked exists; see `Table.write`

        The MBR first: an extended partition that has grown holds what the chain then leads to. Where it has moved, the
        chain is there first.
        """
        extended = self._extended
        moved = extended is not None and extended.start != self._start_on_disk
        if moved:
            self._write_chain(medium)
            medium.sync()
        for one in self.partitions:
            if one.role != "logical":
                _put(self._mbr, one.number - 1, int(one.kind, 16), one.start, one.size)
        medium.write(0, bytes(self._mbr) + medium.read(0)[512:])
        medium.sync()
        if not moved and self._ebrs:
            self._write_chain(medium)
            medium.sync()
        self._fresh.clear()
        self._start_on_disk = extended.start if extended else 0

    def _write_chain(self, medium: Medium) -> None:
        extended = self._extended
        assert extended is not None or not self._ebrs
        homes = {at: number for number, at in self._homes.items()}
        for at, following in reversed([*zip(self._ebrs, [*self._ebrs[1:], 0], strict=False)]):
            assert extended is not None
            sector = bytearray(self.sector_size) if at in self._fresh else bytearray(medium.read(at))
            medium.write(at, self._ebr(sector, at, homes.get(at, 0), following, extended))

    def _ebr(self, sector: bytearray, at: int, number: int, following: int, extended: Partition) -> bytes:
        data = self.partition(number) if number else None
        if sector[510:512] != MAGIC:
            sector = bytearray(self.sector_size)
            sector[510:512] = MAGIC
        if data:
            _put(sector, 0, int(data.kind, 16), data.start - at, data.size)
        if following:
            inner = next((self._known(n) for n, home in self._homes.items() if home == following), None)
            size = inner.end - following if inner else 1
            _put(sector, 1, 0x05, following - extended.start, size)
        return bytes(sector)


def entries(sector: bytes) -> list[Entry]:
    """The four entries of an MBR or EBR"""
    found = []
    for at in range(ENTRIES, 510, 16):
        start, size = struct.unpack_from("<II", sector, at + 8)
        found.append(Entry(sector[at], sector[at + 4], start, size))
    return found


def _put(sector: bytearray, index: int, kind: int, start: int, size: int) -> None:
    """Entry `index`; its status stays, and the CHS fields say "use LBA" where the size changed"""
    at = ENTRIES + 16 * index
    if (sector[at + 4], *struct.unpack_from("<II", sector, at + 8)) == (kind, start, size):
        return
    sector[at + 1 : at + 4] = sector[at + 5 : at + 8] = b"\xfe\xff\xff"
    sector[at + 4] = kind
    struct.pack_into("<II", sector, at + 8, start, size)
