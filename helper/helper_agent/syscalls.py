"""System calls Python 3.11 has no wrapper for, by ctypes; every failure is an OSError with its errno

Numbers and constants are the kernel's (include/uapi/linux: openat2.h, mount.h, fs.h, reboot.h).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_BIND = 4096
MS_MOVE = 8192

MNT_DETACH = 2

RB_AUTOBOOT = 0x01234567
RB_POWER_OFF = 0x4321FEDC

BLKRRPART = 0x125F
BLKFLSBUF = 0x1261
BLKGETSIZE64 = 0x80081272
FS_IOC_GETFLAGS = 0x80086601
FS_APPEND_FL = 0x20
FS_IMMUTABLE_FL = 0x10

_SYS_OPENAT2 = 437
_SYS_FINIT_MODULE = {"x86_64": 313, "aarch64": 273}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, what: str = "") -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what or None)
    return result


def openat2(directory: int, path: str, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): `path` opened below the descriptor `directory`, close-on-exec

    Raises:
        OSError: as open(2); ELOOP or EXDEV where `resolve` forbids the path
    """
    name = os.fsencode(path)
    if b"\0" in name:
        raise OSError(errno.EINVAL, "a NUL character in a path", path)
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(16):
        result = int(_libc.syscall(ctypes.c_long(_SYS_OPENAT2), directory, name, how, ctypes.c_size_t(len(how))))
        # EAGAIN: ".." met a rename or mount somewhere in the system (openat2(2)); asking again is the documented answer
        if result >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return _check(result, path)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2)

    Raises:
        OSError: with `source` as its filename
    """
    arguments = [os.fsencode(text) for text in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), os.fsencode(options) or None), source)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)

    Raises:
        OSError: with `target` as its filename
    """
    _check(_libc.umount2(os.fsencode(target), flags), target)


def reboot(command: int) -> None:
    """reboot(2), `RB_POWER_OFF` or `RB_AUTOBOOT`; doesn't sync

    Raises:
        OSError: EPERM without CAP_SYS_BOOT
    """
    _check(_libc.reboot(ctypes.c_int(command - (1 << 32) if command >> 31 else command)))


def finit_module(fd: int, parameters: str = "", flags: int = 0) -> None:
    """finit_module(2): the kernel module open as `fd`; a module that is loaded already is no error

    Raises:
        OSError: as finit_module(2)
    """
    number = _SYS_FINIT_MODULE[os.uname().machine]
    result = int(_libc.syscall(ctypes.c_long(number), fd, os.fsencode(parameters), flags))
    if result < 0 and ctypes.get_errno() != errno.EEXIST:
        _check(result)


def block_ioctl(fd: int, request: int) -> None:
    """An ioctl without an argument, `BLKFLSBUF` or `BLKRRPART`

    Raises:
        OSError: EBUSY when a partition is in use
    """
    fcntl.ioctl(fd, request)


def block_size(fd: int) -> int:
    """Bytes of the block device open as `fd`

    Raises:
        OSError: ENOTTY when it is no block device
    """
    return int(struct.unpack("=Q", fcntl.ioctl(fd, BLKGETSIZE64, bytes(8)))[0])


def file_flags(fd: int) -> int:
    """The inode's flags (chattr), 0 on a filesystem that has none"""
    try:
        return int(struct.unpack("=L4x", fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(8)))[0])
    except OSError:
        return 0
