"""Grow the root partition to the room behind it

The last partition of the disk gets all of the disk that is larger than the image; one with another behind it gets what
is free up to that one. Swap partitions that are in the way are moved to the disk's end, with the UUIDs and numbers by
which the system knows them; nothing else is ever moved. `resize` names another partition to grow, or none.
"""

from __future__ import annotations

from helper_agent.api import Context, Skip, Task, TaskError
from helper_agent.disk import devices, growth, partitions, trailing

TASK = Task(
    name="grow-partition",
    phase="devices",
    # A swap partition takes the disk's end first
    after=("swap-partition",),
    options=(growth.OPTION,),
)


def run(context: Context) -> None:
    """See `Task`"""
    system = context.devices
    target = growth.target(context)
    number = target.number
    if number is None:
        raise Skip("the disk has no partition table")
    with partitions.Medium(system.disk, write=True) as medium:
        table = partitions.read(medium)
        assert table is not None
        moves, obstacle = trailing.plan(table, number, medium)
        if moves:
            trailing.carry_out(moves, table, medium)
        more = table.grow(number)
        if obstacle:
            _tell(context, number, obstacle, more, fail=target.asked)
        if not more:
            raise Skip(_why_not(table, number))
        table.write(medium)
        size = medium.sector_size
    devices.reread(system.disk, table)
    for move in moves:
        context.log.info(f"Partition {move.partition.number}, swap, was moved to the disk's end")
    context.log.info(f"Partition {number} grew by {more * size >> 20} MiB")


def _tell(context: Context, number: int, obstacle: trailing.Obstacle, more: int, *, fail: bool) -> None:
    """There is free space at the disk's end that can't be had"""
    text = (
        f"Partition {number} can't get the free space at the disk's end: "
        f"partition {obstacle.number} behind it {obstacle.what}"
    )
    if fail and not more:
        raise TaskError(text, "give another partition, or an image with that one last", code="E-OPTION")
    context.log.warning(f"{text}; the space stays free (resize says which partition is to have it)")


def _why_not(table: partitions.Table, number: int) -> str:
    mine = table.partition(number)
    assert mine is not None
    behind = [one for one in table.partitions if one.start >= mine.end]
    if behind:
        return f"partition {min(behind, key=lambda one: one.start).number} lies right behind partition {number}"
    return f"partition {number} reaches the disk's end already"
