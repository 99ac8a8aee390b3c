"""XFS: grown mounted; its log is replayed by the mount"""

from __future__ import annotations

import fcntl
import os
import struct

from helper_agent.api import Logger, TaskError
from helper_agent.disk.medium import Medium
from helper_agent.filesystems.base import NEWER, Filesystem, Run, failed, unknown_features
from helper_agent.run import CommandFailed

XFS_IOC_FSGROWFSDATA = 0x4010586E
"""_IOW('X', 110, struct xfs_growfs_data {u64 newblocks; u32 imaxpct}) (fs/xfs/libxfs/xfs_fs.h)."""
XFS_IOC_FSGEOMETRY_V1 = 0x80705864
"""_IOR('X', 100, struct xfs_fsop_geom_v1), 112 bytes."""
KNOWN_WRITABLE, KNOWN = 0x0F, 0x3F
"""Features of kernel 6.1 without which it may not write, or not even read (fs/xfs/libxfs/xfs_format.h)."""
NAMES = {6: "exchange", 7: "parent", 8: "metadir", 9: "zoned", 10: "zone gaps"}
"""Those of later kernels, as mkfs.xfs has them."""
KIB_PER_GROUP = 40
"""Memory the kernel needs for each new allocation group while it grows and mounts them (6.1: 1000 GiB of groups of 375
MiB fit into a helper of 256 MiB and 2000 don't; 8000 fit into 1024)."""
REMEDY = "repair it with xfs_repair on a copy of the image, or use another image"


def repair(device: str, run: Run, log: Logger) -> None:
    """`xfs_repair`; a log that can't be replayed is thrown away, the only way left after a mount has failed

    Raises:
        TaskError: E-FILESYSTEM
    """
    try:
        # -P: no prefetching, which costs memory for speed that a virtual disk doesn't give
        run(["xfs_repair", "-P", "-L", device], timeout=3600)
    except CommandFailed as error:
        raise failed(device, error, REMEDY) from None
    log.warning(f"The filesystem on {device} had errors, xfs_repair repaired them")


def unsupported(device: str) -> tuple[str, str] | None:
    """See `Filesystem.unsupported`"""
    with Medium(device) as medium:
        head = medium.read_bytes(0, 512)
    version = struct.unpack_from(">H", head, 100)[0] & 15
    if version < 5:
        return None
    writable, readable = struct.unpack_from(">II", head, 212)
    more = [
        unknown_features(writable, KNOWN_WRITABLE, {}),
        unknown_features(readable, KNOWN, NAMES),
    ]
    text = ", ".join(filter(None, more))
    return (f"has features that the helper's kernel doesn't know: {text}", NEWER) if text else None


def grow(device: str, path: str) -> None:
    """See `Filesystem.grow`"""
    with Medium(device) as medium:
        size = medium.size
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        geometry = fcntl.ioctl(fd, XFS_IOC_FSGEOMETRY_V1, bytes(112))
        block, group, percent, blocks = struct.unpack_from("=I4xI16xIQ", geometry)
        if size // block > blocks:
            _refuse_without_memory((size // block - blocks) // group, _available_kib())
            fcntl.ioctl(fd, XFS_IOC_FSGROWFSDATA, struct.pack("=QI4x", size // block, percent))
    finally:
        os.close(fd)


def _refuse_without_memory(groups: int, available: int) -> None:
    """The kernel would run out of memory half-way, which ends the whole VM without a word

    Raises:
        TaskError: E-FILESYSTEM
    """
    missing = groups * KIB_PER_GROUP - available
    if missing > 0:
        raise TaskError(
            f"The XFS filesystem would get {groups} more allocation groups, too many for the helper's memory",
            f"raise the setting memory_mib by {(missing >> 10) + 64}, or use an image with a larger filesystem",
            code="E-FILESYSTEM",
        )


def _available_kib() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))


XFS = Filesystem(
    name="xfs",
    modules=("libcrc32c", "xfs"),
    look="norecovery,nouuid",
    use="nouuid",
    repair=repair,
    unsupported=unsupported,
    grow=grow,
)
