"""A seed disk of cloud-init: where it may be written, and how one of ours is known again

ECMA-119: the primary volume descriptor is in the sector 16 of 2048 bytes, its application identifier at byte 574.
"""

from __future__ import annotations

from helper_agent.api import TaskError
from helper_agent.disk.medium import Medium
from helper_agent.disk.table import Partition, Table

APPLICATION = b"GANETI-INSTANCE-HELPER "
LABEL = "cloud-seed"
"""Of its partition, where the table has labels."""
DESCRIPTOR = 16 * 2048
MIB = 1 << 20


def is_ours(medium: Medium, offset: int) -> bool:
    """Whether a seed of ours lies at byte `offset`

    Raises:
        OSError
    """
    head = medium.read_bytes(offset + DESCRIPTOR, 2048)
    return head[1:6] == b"CD001" and head[574:].startswith(APPLICATION)


def partition(medium: Medium, table: Table) -> Partition | None:
    """The partition that an earlier run made for a seed; the instance has emptied it since, perhaps

    Raises:
        OSError
    """
    for one in table.partitions:
        if one.label == LABEL or is_ours(medium, one.start * medium.sector_size):
            return one
    return None


def write(medium: Medium, image: bytes, offset: int, size: int, what: str, *, empty: bool = True) -> None:
    """`image` at byte `offset`, where `size` bytes are for it

    Args:
        what: for errors
        empty: refuse where something else is; looked for in the first and the last MiB

    Raises:
        TaskError: E-OPTION
        OSError
    """
    if size < len(image):
        raise TaskError(
            f"{what} has {size >> 10} KiB, and cloud-init's data {len(image) >> 10} KiB",
            "give it a larger disk",
            code="E-OPTION",
        )
    if empty and not is_ours(medium, offset):
        for at in (offset, offset + max(size - MIB, 0)):
            if any(medium.read_bytes(at, min(MIB, size))):
                raise TaskError(
                    f"{what} is to get cloud-init's data, and has something on it",
                    "empty it (blkdiscard -z), name another (cloud_seed=disk:NUMBER), or give cloud_seed=partition",
                    code="E-OPTION",
                )
    medium.write(offset // medium.sector_size, image.ljust(-(-len(image) // 4096) * 4096, b"\0"))
    medium.sync()
