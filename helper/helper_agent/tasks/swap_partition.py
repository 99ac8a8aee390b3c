"""Make a swap partition at the disk's end

The fstab entry is the task `swap`'s; the UUID, which both are given, holds them together.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.disk import devices, partitions, swap

TASK = Task(
    name="swap-partition",
    phase="devices",
    options=(
        Option("size_mib", "int", "size of the swap partition in MiB"),
        Option("uuid", "str", "UUID of the swap area"),
    ),
    needs=("size_mib",),
)


def run(context: Context) -> None:
    """See `Task`"""
    size, uuid = context.options.number("size_mib"), context.options.text("uuid")
    system = context.devices
    if any(one.type == "swap" and one.uuid == uuid for one in system.filesystems):
        raise Skip("it is there already")
    with partitions.Medium(system.disk, write=True) as medium:
        table = partitions.read(medium)
        if table is None:
            raise TaskError("A disk without a partition table has no place for a swap partition",
                            "ask for a swap file", code="E-OPTION")  # fmt: skip
        made = table.add_swap((size << 20) // medium.sector_size)
        # The area before the table: an entry never leads to what was there before
        medium.write(made.start, swap.header(made.size * medium.sector_size, uuid))
        table.write(medium)
    devices.reread(system.disk)
    context.log.info(f"Partition {made.number} is swap, {size} MiB")
