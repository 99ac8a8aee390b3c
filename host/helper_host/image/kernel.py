"""Calls of the Linux kernel that Python 3.11 has no wrapper for

By ctypes, which lets other threads run meanwhile. Numbers from linux/falloc.h, linux/fs.h, linux/openat2.h,
linux/fcntl.h and asm-generic/ioctl.h: those of x86-64, 64-bit ARM and RISC-V (PowerPC encodes ioctls in another way).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_libc.syscall.restype = ctypes.c_long

KEEP_SIZE = 0x01
PUNCH_HOLE = 0x02
ZERO_RANGE = 0x10

SYNC_FILE_RANGE_WRITE = 2

BLKGETSIZE64 = 0x80081272
BLKSSZGET = 0x1268
FICLONERANGE = 0x4020940D

F_OFD_GETLK = 36
_FLOCK = "hhqqi4x"

SYS_OPENAT2 = 437
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08

NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY, errno.EPERM)
"""What the kernel says when a file, filesystem or device can't do it (EPERM: an immutable or sealed kind of file)."""


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2); OSError where it fails"""
    while _libc.fallocate(fd, mode, offset, length) != 0:
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))


def start_writeback(fd: int, offset: int, length: int) -> None:
    """Ask for the range to be written soon, without waiting; not every file can, and nothing depends on it"""
    _libc.sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE)


def open_beneath(folder: int, path: str, flags: int) -> int:
    """Open `path` relative to the descriptor `folder`; no `..`, symlink or magic link leads out of it (openat2(2))"""
    how = struct.pack("QQQ", flags, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    while True:
        fd = int(_libc.syscall(SYS_OPENAT2, folder, os.fsencode(path), how, ctypes.c_size_t(len(how))))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        # EAGAIN: a rename raced with the walk
        if code not in (errno.EINTR, errno.EAGAIN):
            raise OSError(code, os.strerror(code), path)


def is_locked(fd: int, offset: int, length: int) -> bool:
    """Whether anybody holds a POSIX or OFD lock on a byte of the range, other than through this very descriptor"""
    question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, offset, length, 0)
    answer = struct.unpack(_FLOCK, fcntl.fcntl(fd, F_OFD_GETLK, question))
    return int(answer[0]) != fcntl.F_UNLCK


def device_size(fd: int) -> int:
    """Bytes of a block device"""
    return int(struct.unpack("Q", fcntl.ioctl(fd, BLKGETSIZE64, bytes(8)))[0])


def sector_size(fd: int) -> int:
    """Bytes of a block device's logical sector"""
    return int(struct.unpack("i", fcntl.ioctl(fd, BLKSSZGET, bytes(4)))[0])


def clone_range(source: int, source_offset: int, length: int, target: int, offset: int) -> None:
    """Share the source's blocks with the target (reflink); all in whole blocks of the filesystem"""
    fcntl.ioctl(target, FICLONERANGE, struct.pack("qQQQ", source, source_offset, length, offset))
