"""Make a whole disk swap

One that is blank, or swap already. The line in fstab is the task `swap`'s; the UUID, which both are given, holds them
together.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task
from helper_agent.disk import data, swap
from helper_agent.disk.medium import Medium
from helper_agent.disk.signatures import probe

TASK = Task(
    name="swap-disk",
    phase="devices",
    options=(
        Option("disk", "int", "Ganeti's index of the disk"),
        Option("uuid", "str", "UUID of the swap area"),
    ),
    needs=("disk",),
)


def run(context: Context) -> None:
    """See `Task`"""
    index, uuid = context.options.number("disk"), context.options.text("uuid")
    path = data.device(context.devices.disks, index)
    with Medium(path, write=True) as medium:
        found = probe(medium, 0, medium.size)
        # swap has nothing that anybody wants back
        if (found and found[0] == "swap") or data.needs_format(path, index, ("swap",), uuid):
            medium.write(0, swap.header(medium.size, uuid))
            medium.sync()
        context.log.info(f"Disk {index} is swap, {medium.size >> 20} MiB")
