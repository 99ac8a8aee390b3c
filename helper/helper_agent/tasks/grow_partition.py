"""Grow the root partition to the room behind it

The last partition of the disk gets all of the disk that is larger than the image; one with another behind it gets what
is free up to that one. Nothing is moved.
"""

from __future__ import annotations

from helper_agent.api import Context, Skip, Task
from helper_agent.disk import devices, partitions

TASK = Task(
    name="grow-partition",
    phase="devices",
    # A swap partition takes the disk's end first
    after=("swap-partition",),
)


def run(context: Context) -> None:
    """See `Task`"""
    system = context.devices
    number = system.root_number
    if number is None:
        raise Skip("the disk has no partition table")
    with partitions.Medium(system.disk, write=True) as medium:
        table = partitions.read(medium)
        assert table is not None
        more = table.grow(number)
        if not more:
            raise Skip(_why_not(table, number))
        table.write(medium)
        size = medium.sector_size
    devices.reread(system.disk)
    context.log.info(f"Partition {number} grew by {more * size >> 20} MiB")


def _why_not(table: partitions.Table, number: int) -> str:
    mine = table.partition(number)
    assert mine is not None
    behind = [one for one in table.partitions if one.start >= mine.end]
    if behind:
        return f"partition {min(behind, key=lambda one: one.start).number} lies right behind partition {number}"
    return f"partition {number} reaches the disk's end already"
