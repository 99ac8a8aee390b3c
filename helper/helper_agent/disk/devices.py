"""The instance's disks in the guest: found by virtio serial, read afresh, their partitions named

/sys is read directly: there is no udev daemon in the helper, and importing pyudev would take a third of a second.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from helper_agent import syscalls
from helper_agent.disk.medium import Medium
from helper_agent.disk.partitions import Partition, Table
from helper_agent.disk.signatures import Signature, probe

SYS_BLOCK = "/sys/block"


def find(serials: Iterable[str]) -> dict[str, str]:
    """Device path of each of `serials`; those that no disk has are left out

    Raises:
        OSError: no /sys
    """
    wanted = set(serials)
    found: dict[str, str] = {}
    for name in sorted(os.listdir(SYS_BLOCK)):
        if not name.startswith("vd"):
            continue
        with open(f"{SYS_BLOCK}/{name}/serial", encoding="ascii", errors="replace") as file:
            serial = file.read().strip()
        if serial in wanted:
            found[serial] = f"/dev/{name}"
    return found


def reread(path: str, table: Table | None = None) -> None:
    """The kernel forgets what it cached of the disk `path`, and reads its partition table again

    Args:
        table: what is on the disk now, for when a partition is in use (a volume lies on it)

    Raises:
        OSError: EBUSY when one of its partitions is mounted or otherwise in use, and there is no `table`
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.block_ioctl(fd, syscalls.BLKFLSBUF)
        try:
            syscalls.block_ioctl(fd, syscalls.BLKRRPART)
        except OSError as error:
            if error.errno != errno.EBUSY or table is None:
                raise
            _follow(fd, path, table)
    finally:
        os.close(fd)


def _follow(fd: int, path: str, table: Table) -> None:
    """One by one, what is in use stays in use; what has been moved isn't in use"""
    changed = []
    for one in table.partitions:
        place = f"{SYS_BLOCK}/{os.path.basename(path)}/{os.path.basename(partition(path, one.number))}"
        # The kernel shows an extended partition by its first two sectors, and nobody needs it
        if one.role != "extended" and os.path.isdir(place):
            # In units of 512 bytes, whatever the disk's sectors are
            old = tuple(_number(f"{place}/{name}") << 9 for name in ("start", "size"))
            new = one.start * table.sector_size, one.size * table.sector_size
            if old != new:
                changed.append((one.number, old, new))
    for number, old, new in changed:
        if old[0] != new[0]:
            syscalls.partition_ioctl(fd, syscalls.BLKPG_DEL, number)
    for number, old, new in changed:
        operation = syscalls.BLKPG_RESIZE if old[0] == new[0] else syscalls.BLKPG_ADD
        syscalls.partition_ioctl(fd, operation, number, *new)


def _number(path: str) -> int:
    with open(path, encoding="ascii") as file:
        return int(file.read())


def partition(disk: str, number: int) -> str:
    """Device path of partition `number`; 0 is the disk itself"""
    if not number:
        return disk
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"


def signatures(disk: str, table: Table | None) -> list[Signature]:
    """What the partitions of `disk` hold, or without a table the disk itself; nothing known is left out

    Raises:
        OSError
    """
    parts = table.partitions if table else (Partition(0, 0, 0, "", ""),)
    found = []
    with Medium(disk) as medium:
        for part in parts:
            if part.role == "extended":
                continue
            size = part.size * medium.sector_size if part.number else medium.size
            what = probe(medium, part.start * medium.sector_size, size)
            if what:
                found.append(Signature(partition(disk, part.number), *what, part.uuid, part.label, disk, part.number))
    return found
