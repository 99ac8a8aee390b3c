"""Partitions, filesystems, swap"""

from __future__ import annotations

from helper_host.ganeti import disk_values, values
from helper_host.ganeti.parameters.row import Parameter, Rows


class DiskRows(Rows):
    """Partitions, filesystems, swap"""

    root_partition = Parameter(
        values.root_partition,
        "",
        "Number of the partition with the root filesystem; none for a disk without partitions",
        example="1",
        shown="found by its content",
    )
    swap = Parameter(
        disk_values.swap,
        None,
        "Swap space to make: file:MIB, partition:MIB at the end of the disk, memory instead of MIB for as much as the"
        " instance has, or disk:N for a whole disk",
        example="file:512",
        shown="none made",
        sets=(
            "swap-partition.size_mib",
            "swap-partition.uuid",
            "swap-partition.number",
            "swap-disk.disk",
            "swap-disk.uuid",
            "swap.file_mib",
            "swap.partition_uuid",
            "swap.disk_uuid",
        ),
    )
    data_disks = Parameter[tuple[disk_values.DataDisk, ...]](
        disk_values.data_disks,
        (),
        "Further disks for data, as DISK:PATH[:FILESYSTEM[:LABEL]]: blank ones are formatted (ext4, xfs, btrfs), those"
        " of an earlier installation keep their data, all others are refused",
        example="1:/srv:ext4 2:/var/lib/postgresql:xfs:DATA",
        shown="none",
        sets=("data-disks.disks", "data-mounts.disks"),
    )
    resize = Parameter(
        disk_values.resize,
        "",
        "What grows to the disk's size: auto (the root), no, or the number of a partition",
        example="auto",
        shown="auto",
        sets=("grow-partition.partition", "grow-volumes.partition", "grow-filesystem.partition"),
    )
    luks_key = Parameter(
        disk_values.luks_key,
        "",
        "Passphrase of the image's encrypted volumes (LUKS); pass it with --os-parameters-secret",
        example="correct horse",
        shown="they stay closed",
        secret=True,
        option="unlock.key",
    )
