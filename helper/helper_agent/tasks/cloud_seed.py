"""Put cloud-init's data onto a disk of its own

An ISO 9660 image of the data source NoCloud, which the node has made. It goes onto the instance's last disk, or the one
that is named, and with a single disk into a new partition at its end. A disk that has something on it stays as it is.
"""

from __future__ import annotations

import zlib

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.disk import devices, partitions, seed

TASK = Task(
    name="cloud-seed",
    phase="devices",
    # At the disk's end, behind the root partition, which grows up to it
    after=("swap-partition",),
    before=("grow-partition",),
    needs=("image",),
    options=(
        Option("image", "bytes", "the ISO image, compressed with zlib", secret=True),
        Option("place", "str", "where it goes: disk or partition", default="disk"),
        Option("disk", "int", "Ganeti's number of the disk; 0: the last one, or a partition where there is but one"),
    ),
)


def run(context: Context) -> None:
    """See `Task`"""
    disks, number = context.devices.disks, context.options.number("disk")
    image = zlib.decompress(context.options.content("image"))
    if number and number not in disks:
        raise TaskError(
            f"cloud_seed=disk:{number}: the instance has no disk {number}",
            f"it has {', '.join(str(index) for index in sorted(disks))}; give another one, or cloud_seed=partition",
            code="E-OPTION",
        )
    number = number or max(disks)
    if context.options.text("place") == "partition" or not number:
        _partition(context, image)
        return
    with partitions.Medium(disks[number], write=True) as medium:
        seed.write(medium, image, 0, medium.size, f"Disk {number}")
    context.log.info(f"cloud-init's data is on disk {number}")


def _partition(context: Context, image: bytes) -> None:
    disk = context.devices.disk
    with partitions.Medium(disk, write=True) as medium:
        table = partitions.read(medium)
        if table is None:
            raise TaskError(
                "A disk without a partition table has no place for cloud-init's data",
                "give the instance a second disk, or leave out cloud_seed",
                code="E-OPTION",
            )
        made = seed.partition(medium, table) or _new(table, -(-len(image) // medium.sector_size))
        start, size = made.start * medium.sector_size, made.size * medium.sector_size
        # A new one, or one of ours: what lies there is nobody's. It is written before the table, as swap is
        seed.write(medium, image, start, size, f"Partition {made.number}", empty=False)
        table.write(medium)
    devices.reread(disk)
    context.log.info(f"cloud-init's data is in partition {made.number}")


def _new(table: partitions.Table, sectors: int) -> partitions.Partition:
    try:
        return table.add_data(sectors, seed.LABEL)
    except TaskError as error:
        raise TaskError(
            error.cause, "give the instance a second disk, or leave out cloud_seed", code=error.code
        ) from None
