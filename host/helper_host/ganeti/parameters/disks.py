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
        values.swap,
        None,
        "Swap space to make: file:MIB, or partition:MIB at the end of the disk",
        example="file:512",
        shown="none made",
        sets=("swap-partition.size_mib", "swap-partition.uuid", "swap.file_mib", "swap.partition_uuid"),
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
