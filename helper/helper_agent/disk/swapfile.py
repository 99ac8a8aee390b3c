"""Swap files in an image's tree"""

from __future__ import annotations

import fcntl
import os

from helper_agent.disk import swap
from helper_agent.root import Root
from helper_agent.syscalls import FS_IOC_GETFLAGS

FS_IOC_SETFLAGS = 0x40086602
FS_NOCOW_FL = 0x00800000
"""include/uapi/linux/fs.h."""


def make(root: Root, path: str, size: int, *, nocow: bool) -> None:
    """A file of `size` bytes without holes, with the header mkswap(8) writes, readable by root only

    Args:
        nocow: not copied on write, which btrfs wants of a swap file (btrfs(5))

    Raises:
        TaskError: a folder is in its place
        OSError: above all ENOSPC; nothing of the file is left
    """
    fd = root.create(path, mode=0o600)
    try:
        if nocow:
            flags = int.from_bytes(fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(8))[:4], "little") | FS_NOCOW_FL
            fcntl.ioctl(fd, FS_IOC_SETFLAGS, flags.to_bytes(8, "little"))
        os.posix_fallocate(fd, 0, size)
        os.pwrite(fd, swap.header(size, os.urandom(16).hex()), 0)
    except OSError:
        root.remove(path)  # half a swap file would keep the room that is lacking
        raise
    finally:
        os.close(fd)
