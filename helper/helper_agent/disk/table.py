"""What a GPT and an msdos table have in common: partitions as sector ranges, the checks, and where there is room"""

from __future__ import annotations

from collections.abc import Iterable

from helper_agent.api import TaskError
from helper_agent.disk.medium import Medium
from helper_agent.records import NamedTuple

REMEDY = "check the image's partition table with sfdisk --verify on the machine that made it"


def misfit(cause: str, remedy: str = "ask for a swap file") -> TaskError:
    """The error for a swap partition the table has no place for"""
    return TaskError(cause, remedy, code="E-OPTION")


def broken(cause: str, remedy: str = REMEDY) -> TaskError:
    """The error for a table that can't be used"""
    return TaskError(f"The partition table of the disk is broken: {cause}", remedy, code="E-PARTITION-TABLE")


class Partition(NamedTuple):
    """One partition; `start` and `size` in sectors"""

    number: int
    start: int
    size: int
    kind: str
    """GPT: the type's GUID in lower case; msdos: two hexadecimal digits ("83")."""
    uuid: str
    """PARTUUID as the kernel forms it."""
    label: str = ""
    """PARTLABEL, GPT only."""
    role: str = "primary"
    """primary, extended or logical; GPT knows only primary."""

    @property
    def end(self) -> int:
        """The first sector behind it"""
        return self.start + self.size

    def overlaps(self, other: Partition) -> bool:
        """Whether the two share a sector"""
        return self.start < other.end and other.start < self.end


class Table:
    """A partition table that passed its checks; changes go to the disk with `write`

    `remarks` says what was odd and could be lived with.
    """

    kind = ""
    """gpt or msdos."""

    def __init__(self, medium: Medium, partitions: Iterable[Partition]) -> None:
        self.sector_size = medium.sector_size
        self.sectors = medium.sectors
        self.alignment = medium.alignment
        self.partitions = tuple(partitions)
        self.remarks: list[str] = []
        self.hybrid = False
        """Another table on the disk says some of the same: a hybrid MBR beside a GPT."""
        self.must_write = False
        """A copy of the table on the disk is damaged, and `write` mends it."""

    def partition(self, number: int) -> Partition | None:
        """Partition `number`, if there is one"""
        return next((partition for partition in self.partitions if partition.number == number), None)

    def room_end(self, number: int) -> int:
        """The first sector partition `number` can't be grown to, aligned, never less than its present end

        That is the next partition's start or the usable area's end.
        """
        raise NotImplementedError

    def grow(self, number: int) -> int:
        """Partition `number` takes all the room behind it; by how many sectors it grew, 0 if there is no room

        Raises:
            KeyError: no such partition
        """
        raise NotImplementedError

    @property
    def disk_end(self) -> int:
        """The first sector behind the area that partitions can lie in, aligned"""
        raise NotImplementedError

    def free_tail(self) -> tuple[int, int]:
        """The aligned range (start, end) behind the last partition, start == end when there is none"""
        raise NotImplementedError

    def add_swap(self, sectors: int) -> Partition:
        """A new swap partition of `sectors` (rounded up to the alignment) at the disk's end

        Raises:
            TaskError: E-OPTION, no room or no free entry
        """
        raise NotImplementedError

    def move(self, number: int, start: int) -> None:
        """Partition `number` begins at `start` instead; its size, identity and content's meaning stay

        Whether there is room is for the caller to know; an extended partition takes its logical ones along.

        Raises:
            KeyError: no such partition
        """
        raise NotImplementedError

    def write(self, medium: Medium) -> None:
        """The table onto the disk, in an order in which there is a whole one at any moment

        Raises:
            OSError
        """
        raise NotImplementedError

    def _replace(self, changed: Partition) -> None:
        self.partitions = tuple(changed if old.number == changed.number else old for old in self.partitions)

    def _down(self, sector: int) -> int:
        return sector - sector % self.alignment

    def _up(self, sector: int) -> int:
        return self._down(sector + self.alignment - 1)

    def _swap_range(self, sectors: int) -> tuple[int, int]:
        start, end = self.free_tail()
        size = self._up(sectors)
        if end - start < size:
            raise misfit(
                f"There is no room for a swap partition of {self._mib(size)} MiB: "
                f"{self._mib(end - start)} MiB are free behind the last partition",
                "make the disk larger or the swap smaller, or ask for a swap file",
            )
        return end - size, end

    def _mib(self, sectors: int) -> int:
        return sectors * self.sector_size >> 20


def no_overlaps(partitions: Iterable[Partition]) -> None:
    """Refuse partitions that share a sector

    Raises:
        TaskError: E-PARTITION-TABLE
    """
    ordered = sorted(partitions, key=lambda partition: partition.start)
    # itertools.pairwise would be one more import in the guest
    for left, right in zip(ordered, ordered[1:], strict=False):  # noqa: RUF007
        if left.overlaps(right):
            raise broken(f"partitions {left.number} and {right.number} overlap")
