"""The instance's disks, each opened by what Ganeti says of it: a path on the node, or only a URI"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helper_host.ganeti import environment
from helper_host.image.disk import Disk, open_disk

if TYPE_CHECKING:
    from helper_host.image.nbd.disk import NbdDisk


def open_one(disk: environment.Disk) -> Disk:
    """Open a disk of the instance; one that has both is used by its path, which is the kernel's

    Raises:
        ProviderError: E-DISK-BUSY, E-DISK-IO, E-ENVIRONMENT, E-NODE
    """
    if disk.path:
        return open_disk(disk.path, disk.size, writable=disk.writable)
    return open_uri(disk.uri, f"DISK_{disk.index}_URI", disk.size, writable=disk.writable)


def open_uri(uri: str, variable: str, size: int, *, writable: bool = True) -> NbdDisk:
    """Open a disk by the URI that Ganeti gave in `variable`; `size` in bytes, 0: as it is

    Raises:
        ProviderError: E-DISK-IO, E-ENVIRONMENT, E-NODE
    """
    from helper_host.image.nbd import disk
    from helper_host.image.nbd import uri as uris

    return disk.open_volume(uris.parse(uri, variable), size, writable=writable)
