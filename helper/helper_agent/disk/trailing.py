"""Swap that lies between a partition and the disk's free end: moved to that end, so that the partition can grow

Nothing but swap is ever moved: what is in it is worth nothing while the system is down. A partition keeps its number,
its PARTUUID and its size; the swap area's first page goes along, with the UUID and label by which it is found. An image
of a hibernated system in it is dropped, since a disk that has changed can't be woken to.
"""

from __future__ import annotations

from helper_agent.disk import signatures
from helper_agent.disk.medium import Medium
from helper_agent.disk.msdos import Msdos
from helper_agent.disk.table import Partition, Table
from helper_agent.records import NamedTuple

SWAP = ("swap", "swsuspend")
PAGES = (4096, 8192, 16384, 65536)
"""Sizes of a swap area's first page; its last ten bytes are the magic word."""
MAGIC = b"SWAPSPACE2"


class Move(NamedTuple):
    """A partition and where it is to begin"""

    partition: Partition
    start: int


class Obstacle(NamedTuple):
    """What can't be moved out of the way, in words"""

    number: int
    what: str


def plan(table: Table, number: int, medium: Medium) -> tuple[tuple[Move, ...], Obstacle | None]:
    """What has to be moved so that partition `number` gets all the room there is, and what is in the way instead

    Neither where nothing would be gained.

    Raises:
        OSError
    """
    mine = table.partition(number)
    assert mine is not None
    behind = _behind(table, mine)
    limit = table.disk_end
    # Without free space at the end nobody misses anything
    wanted = bool(behind) and limit - max(one.end for one in behind) >= table.alignment
    if table.hybrid:
        return (), Obstacle(behind[0].number, "is in a hybrid MBR too") if wanted else None
    moves = []
    for one in reversed(behind):
        if why := _fixed(table, one, mine, medium):
            return (), Obstacle(one.number, why) if wanted else None
        by = max(0, limit - one.end)
        # By whole MiB, so that what was aligned stays so, and what belongs to an old geometry stays together
        by -= by % table.alignment
        if by:
            moves.append(Move(one, one.start + by))
        limit = _first_sector(table, one) + by
    if _collide(table, moves):
        return (), Obstacle(moves[-1].partition.number, "can't be moved by so little") if wanted else None
    return tuple(moves), None


def carry_out(moves: tuple[Move, ...], table: Table, medium: Medium) -> None:
    """The swap areas where they will be, and the partitions moved in `table`, which the caller writes

    Raises:
        OSError
    """
    for partition, start in moves:
        areas = _logical(table) if partition.role == "extended" else [partition]
        for one in areas:
            medium.write(start + one.start - partition.start, _first_page(medium, one.start))
        table.move(partition.number, start)
    medium.sync()


def _behind(table: Table, mine: Partition) -> list[Partition]:
    """All that begins behind `mine`, by its place; an extended partition stands for its logical ones, but not for
    those in its own"""
    inside = {mine.role, "primary", "extended"} if mine.role == "logical" else {"primary", "extended"}
    return sorted(
        (one for one in table.partitions if one.start >= mine.end and one.role in inside), key=lambda one: one.start
    )


def _fixed(table: Table, one: Partition, mine: Partition, medium: Medium) -> str:
    """Why `one` can't be moved, "" if it can"""
    if one.role == "extended":
        inner = _logical(table)
        if not inner:
            return "is an extended partition"
        found = [(each.number, why) for each in inner if (why := _no_swap(each, medium))]
        return f"holds partition {found[0][0]}, which {found[0][1]}" if found else ""
    if one.role == "logical" and isinstance(table, Msdos) and not mine.end <= table.home(one.number) < one.start:
        return "has its boot record elsewhere"
    return _no_swap(one, medium)


def _no_swap(one: Partition, medium: Medium) -> str:
    found = signatures.probe(medium, one.start * medium.sector_size, one.size * medium.sector_size)
    if found and found[0] in SWAP:
        return ""
    return f"holds {found[0]}" if found else "is no swap space"


def _logical(table: Table) -> list[Partition]:
    return [one for one in table.partitions if one.role == "logical"]


def _first_sector(table: Table, one: Partition) -> int:
    """Of a partition with what belongs to it: a logical one's boot record"""
    return table.home(one.number) if one.role == "logical" and isinstance(table, Msdos) else one.start


def _collide(table: Table, moves: list[Move]) -> bool:
    """Whether one that is moved would be written over another before the table says so"""
    if any(move.partition.role == "extended" for move in moves) and len(_logical(table)) > 1:
        return any(move.start < move.partition.end for move in moves)
    return any(
        _first_sector(table, move.partition) + move.start - move.partition.start < other.partition.end
        and other.partition.start < move.start + move.partition.size
        for move in moves
        for other in moves
        if other is not move
    )


def _first_page(medium: Medium, start: int) -> bytes:
    """Of the swap area at `start`, without a hibernated system's mark"""
    head = medium.read_bytes(start * medium.sector_size, PAGES[-1])
    for size in PAGES:
        if signatures.swap_kind(head, size):
            return head[: size - len(MAGIC)] + MAGIC
    raise OSError(f"there was a swap area in sector {start}")
