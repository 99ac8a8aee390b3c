"""A disk or a disk's file as sectors: the only way the partition table code reads and writes

Everything read is checked against the disk's end first, so that no number in a hostile table makes a read fail in a
way that isn't named.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from types import TracebackType

from helper_agent.syscalls import block_size

BLKSSZGET = 0x1268
"""ioctl: logical sector size (include/uapi/linux/fs.h)."""
ALIGNMENT = 1024 * 1024
"""Bytes all new partition borders are a multiple of: what every tool has done since 2010, a multiple of any RAID's or
SSD's block."""


class Medium:
    """A block device or a regular file of sectors; a context manager that closes it

    Args:
        sector_size: of a regular file; a block device is asked

    Raises:
        OSError
    """

    def __init__(self, path: str, *, write: bool = False, sector_size: int = 512) -> None:
        self.path = path
        self._fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC)
        try:
            status = os.fstat(self._fd)
            if stat.S_ISBLK(status.st_mode):
                sector_size = int(struct.unpack("=i", fcntl.ioctl(self._fd, BLKSSZGET, bytes(4)))[0])
                size = block_size(self._fd)
            else:
                size = status.st_size
        except BaseException:
            os.close(self._fd)
            raise
        self.sector_size = sector_size
        self.sectors = size // sector_size
        self.size = size

    def __enter__(self) -> Medium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the device"""
        os.close(self._fd)

    @property
    def alignment(self) -> int:
        """`ALIGNMENT` in sectors"""
        return ALIGNMENT // self.sector_size

    def has(self, sector: int, count: int = 1) -> bool:
        """Whether `count` sectors from `sector` on lie on the disk"""
        return sector >= 0 and count >= 0 and sector + count <= self.sectors

    def read(self, sector: int, count: int = 1) -> bytes:
        """`count` sectors; the caller has asked `has`

        Raises:
            OSError: EIO, or the disk ends early
        """
        return self.read_bytes(sector * self.sector_size, count * self.sector_size)

    def read_bytes(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on, fewer at the disk's end

        Raises:
            OSError
        """
        content = b""
        while len(content) < length and (part := os.pread(self._fd, length - len(content), offset + len(content))):
            content += part
        return content

    def write(self, sector: int, content: bytes) -> None:
        """`content` at `sector`

        Raises:
            OSError
        """
        offset = sector * self.sector_size
        while content:
            written = os.pwrite(self._fd, content, offset)
            content, offset = content[written:], offset + written

    def sync(self) -> None:
        """What was written is on the disk

        Raises:
            OSError
        """
        os.fsync(self._fd)
