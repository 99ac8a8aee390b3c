"""btrfs: grown mounted; subvolumes that may hold a system

It mends what it can while mounted, and `btrfs check --repair` is no remedy, so there is no repair.
"""

from __future__ import annotations

import fcntl
import os
import struct

from helper_agent.api import Logger
from helper_agent.disk.medium import Medium
from helper_agent.filesystems.base import NEWER, Filesystem, Run, unknown_features

BTRFS_IOC_RESIZE = 0x50009403
"""_IOW(0x94, 3, struct btrfs_ioctl_vol_args {s64 fd; char name[4088]}) (include/uapi/linux/btrfs.h)."""
SUPERBLOCK = 65536
DEVICES, FEATURES = 0x88, 0xBC
"""Offsets in the superblock: count of devices, incompatible features."""
KNOWN = 0x3FFF & ~0x2000
"""Features of kernel 6.1 (fs/btrfs/ctree.h, BTRFS_FEATURE_INCOMPAT_SUPP; bit 13, the extent tree v2, is a draft)."""
NAMES = {14: "raid-stripe-tree", 16: "simple quotas"}
GETFLAGS, SETFLAGS, RDONLY = 0x80089419, 0x4008941A, 2
"""BTRFS_IOC_SUBVOL_GETFLAGS and _SETFLAGS, _IOR and _IOW(0x94, 25 and 26, u64); BTRFS_SUBVOL_RDONLY."""
SUBVOLUME_INODE = 256
"""The inode number every subvolume's top folder has."""
SUBVOLUMES_MAX = 256


def grow(_device: str, path: str) -> None:
    """See `Filesystem.grow`; the filesystem has one device (id 1), which "max" without an id means"""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # A bytearray, since Python refuses an immutable argument of more than 1 KiB
        fcntl.ioctl(fd, BTRFS_IOC_RESIZE, bytearray(struct.pack("=q4088s", 0, b"max")))
    finally:
        os.close(fd)


def unsupported(device: str) -> tuple[str, str] | None:
    """See `Filesystem.unsupported`"""
    with Medium(device) as medium:
        head = medium.read_bytes(SUPERBLOCK, 4096)
    (count,), (features,) = struct.unpack_from("<Q", head, DEVICES), struct.unpack_from("<Q", head, FEATURES)
    if count != 1:
        return (
            f"spans {count} devices, of which it can't be told where they are",
            "use an image with it on one partition",
        )
    more = unknown_features(features, KNOWN, NAMES)
    return (f"has features that the helper's kernel doesn't know: {more}", NEWER) if more else None


def subvolumes(path: str) -> list[str]:
    """Subvolumes of the filesystem mounted at `path` with subvolid=5: those in its top folder, then those in folders
    and subvolumes there; likely ones first

    Raises:
        OSError
    """
    top = _folders(path)
    inner = {f"{name}/{one}": number for name in top for one, number in _folders(f"{path}/{name}").items()}
    likely = ("@", "@rootfs", "root", "@root", "rootfs")

    def order(name: str) -> tuple[int, int, str]:
        last = name.rpartition("/")[2]
        return name.count("/"), likely.index(last) if last in likely else len(likely), name

    found = [name for name, number in {**top, **inner}.items() if number == SUBVOLUME_INODE]
    return sorted(found, key=order)[:SUBVOLUMES_MAX]


def _folders(path: str) -> dict[str, int]:
    """Name -> inode number of folders in a folder; not of all where there are too many"""
    found: dict[str, int] = {}
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                found[entry.name] = entry.stat(follow_symlinks=False).st_ino
            if len(found) >= SUBVOLUMES_MAX:
                break
    return found


def identify(device: str, uuid: str, run: Run, _log: Logger) -> None:
    """See `Filesystem.identify`

    It is written into every block of metadata. The faster way, the feature metadata_uuid, would need a kernel of 5.0 in
    the instance.
    """
    run(["btrfstune", "-f", "-U", uuid, device], timeout=3600)


def set_read_only(path: str, wanted: bool) -> bool:
    """Whether the subvolume mounted at `path` takes no changes (btrfs-property(8)); whether it was otherwise before

    Raises:
        OSError
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        (flags,) = struct.unpack("=Q", fcntl.ioctl(fd, GETFLAGS, bytes(8)))
        if bool(flags & RDONLY) is wanted:
            return False
        fcntl.ioctl(fd, SETFLAGS, struct.pack("=Q", flags ^ RDONLY))
    finally:
        os.close(fd)
    return True


BTRFS = Filesystem(
    name="btrfs",
    modules=("libcrc32c", "btrfs"),
    look="rescue=nologreplay",
    use="",
    set_read_only=set_read_only,
    unsupported=unsupported,
    grow=grow,
    identify=identify,
)
