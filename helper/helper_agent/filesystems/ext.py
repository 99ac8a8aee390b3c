"""ext2, ext3 and ext4

Grown mounted, by the ioctl that resize2fs uses, where that is faster: the offline way needs a full `e2fsck -f` first
and two processes (0.7 s against 0.3 s for 1.5 to 4 GiB, under emulation), but the kernel adds one group of blocks after
the other (52 s against 5 s for 4 TiB; they meet at 100 GiB). Where the kernel can't (no resize inode, sparse_super2,
...) the offline way is taken too.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from helper_agent.api import Logger, TaskError
from helper_agent.disk.medium import Medium
from helper_agent.filesystems.base import NEWER, Filesystem, Offline, Run, failed, unknown_features
from helper_agent.records import NamedTuple
from helper_agent.run import CommandFailed

EXT4_IOC_RESIZE_FS = 0x40086610
"""_IOW('f', 16, __u64): the new size in blocks (fs/ext4/ext4.h)."""
MOUNTED_MAX = 64 * 1024**3
"""Bytes by which a filesystem is grown mounted at most."""
KNOWN, KNOWN_WRITABLE = 0x3E7D6, 0x1B77F
"""Features of kernel 6.1 without which it may not read, or not write (fs/ext4/ext4.h)."""
REMEDY = "repair it with e2fsck on a copy of the image, or use another image"
TOOL_TIMEOUT = 3600
"""Seconds e2fsck and resize2fs may take; the node's own clock ends a run earlier."""


class Superblock(NamedTuple):
    """What we need of it (Documentation/filesystems/ext4/super.rst)"""

    blocks: int
    block_size: int
    clean: bool
    """Unmounted cleanly, or with a journal to replay, which the mount does."""
    errors: bool
    """The kernel has met errors in it."""


def superblock(device: str) -> Superblock:
    """Of the filesystem on `device`

    Raises:
        OSError
    """
    with Medium(device) as medium:
        head = medium.read_bytes(1024, 1024)
    low, shift = struct.unpack_from("<I16xI", head, 4)
    state = struct.unpack_from("<H", head, 58)[0]
    features = struct.unpack_from("<I", head, 96)[0]
    high = struct.unpack_from("<I", head, 336)[0] if features & 0x80 else 0
    return Superblock(low | high << 32, 1024 << min(shift, 6), bool(state & 1 or features & 4), bool(state & 2))


def unsupported(device: str) -> tuple[str, str] | None:
    """See `Filesystem.unsupported`"""
    with Medium(device) as medium:
        head = medium.read_bytes(1024, 1024)
    readable, writable = struct.unpack_from("<II", head, 96)
    more = [unknown_features(readable, KNOWN, {}), unknown_features(writable, KNOWN_WRITABLE, {})]
    text = ", ".join(filter(None, more))
    return (f"has features that the helper's kernel doesn't know: {text}", NEWER) if text else None


def needs_repair(device: str) -> bool:
    """See `Filesystem.needs_repair`"""
    found = superblock(device)
    return found.errors or not found.clean


def repair(device: str, run: Run, log: Logger) -> None:
    """A full check with repair; by e2fsck(8)'s exit code 1 is "corrected", 2 the same and a reboot is wanted

    Raises:
        TaskError: E-FILESYSTEM
    """
    try:
        done = run(["e2fsck", "-f", "-y", device], ok=(0, 1, 2, 3), timeout=TOOL_TIMEOUT)
    except CommandFailed as error:
        raise failed(device, error, REMEDY) from None
    if done.returncode:
        log.warning(f"The filesystem on {device} had errors, e2fsck repaired them")


def grow(device: str, path: str) -> None:
    """See `Filesystem.grow`"""
    found = superblock(device)
    with Medium(device) as medium:
        wanted = medium.size // found.block_size
    if wanted <= found.blocks:
        return
    if (wanted - found.blocks) * found.block_size > MOUNTED_MAX:
        raise Offline("it grows by a lot, which is faster unmounted")
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, EXT4_IOC_RESIZE_FS, struct.pack("=Q", wanted))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EIO, errno.EROFS):
            raise
        raise Offline(error.strerror) from None
    finally:
        os.close(fd)


def grow_offline(device: str, run: Run, log: Logger) -> None:
    """See `Filesystem.grow_offline`"""
    repair(device, run, log)
    try:
        run(["resize2fs", device], timeout=TOOL_TIMEOUT)
    except CommandFailed as error:
        raise TaskError(
            f"The filesystem on {device} can't be grown to the size of its partition: {error}",
            "use a smaller disk, or an image whose filesystem has larger blocks",
            code="E-FILESYSTEM",
            output=error.output,
        ) from None


EXT = Filesystem(
    # The ext4 code mounts all three
    name="ext4",
    modules=("ext4",),
    look="noload",
    # An image may ask for a panic on errors; new inode tables are zeroed by the instance, not during our short run
    use="errors=remount-ro,noinit_itable",
    needs_repair=needs_repair,
    repair=repair,
    unsupported=unsupported,
    grow=grow,
    grow_offline=grow_offline,
)
