"""System calls Python 3.11 has no wrapper for, by ctypes; every failure is an OSError with its errno

Numbers and constants are the kernel's (include/uapi/linux: openat2.h, mount.h, fs.h, reboot.h, sched.h, prctl.h,
capability.h).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 1
MOUNT_ATTR_NOSUID = 2
MOUNT_ATTR_NODEV = 4
MOUNT_ATTR_NOEXEC = 8

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

CAP_CHOWN = 0
CAP_DAC_OVERRIDE = 1
CAP_FOWNER = 3
CAP_FSETID = 4
CAP_KILL = 5
CAP_SETGID = 6
CAP_SETUID = 7
CAP_LINUX_IMMUTABLE = 9
CAP_SYS_CHROOT = 18
CAP_SYS_ADMIN = 21
CAP_SYS_RESOURCE = 24
CAP_AUDIT_WRITE = 29
CAP_SETFCAP = 31

RB_AUTOBOOT = 0x01234567
RB_POWER_OFF = 0x4321FEDC

BLKRRPART = 0x125F
BLKFLSBUF = 0x1261
BLKPG = 0x1269
BLKPG_ADD, BLKPG_DEL, BLKPG_RESIZE = 1, 2, 3
BLKGETSIZE64 = 0x80081272
FS_IOC_GETFLAGS = 0x80086601
FS_APPEND_FL = 0x20
FS_IMMUTABLE_FL = 0x10

RENAME_EXCHANGE = 2

_SYS_OPENAT2 = 437
# the same on all architectures since they were added
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES_MAX = 63
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


def exchange(folder: int, name: str, other_folder: int, other: str) -> None:
    """renameat2(2) with RENAME_EXCHANGE: two names, each in a folder that is open, change places

    Raises:
        OSError: EINVAL where the filesystem can't
    """
    names = os.fsencode(name), os.fsencode(other)
    _check(_libc.renameat2(folder, names[0], other_folder, names[1], ctypes.c_uint(RENAME_EXCHANGE)), name)


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


def open_tree(path: str) -> int:
    """open_tree(2): a copy of the mount at `path` with all below it, attached nowhere, as a close-on-exec descriptor

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN
    """
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_RECURSIVE
    return _check(int(_libc.syscall(ctypes.c_long(_SYS_OPEN_TREE), _AT_FDCWD, os.fsencode(path), flags)), path)


def move_mount(fd: int, target: str) -> None:
    """move_mount(2): what `open_tree` gave, attached at `target`

    Raises:
        OSError
    """
    arguments = (fd, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)
    _check(int(_libc.syscall(ctypes.c_long(_SYS_MOVE_MOUNT), *arguments)), target)


def mount_setattr(fd: int, attributes: int, clear: int = 0) -> None:
    """mount_setattr(2): `MOUNT_ATTR_*` set and cleared on what `open_tree` gave, and on all mounts below

    Raises:
        OSError: EINVAL for a kernel before 5.12's features
    """
    request = struct.pack("=QQQQ", attributes, clear, 0, 0)
    flags = _AT_EMPTY_PATH | _AT_RECURSIVE
    size = ctypes.c_size_t(len(request))
    _check(int(_libc.syscall(ctypes.c_long(_SYS_MOUNT_SETATTR), fd, b"", flags, request, size)))


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)

    Raises:
        OSError
    """
    _check(_libc.pivot_root(os.fsencode(new), os.fsencode(old)), new)


def unshare(flags: int) -> None:
    """unshare(2) with `CLONE_NEW*`

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN
    """
    _check(_libc.unshare(ctypes.c_int(flags)))


def setns(fd: int, kind: int) -> None:
    """setns(2): into the namespace open as `fd`, of the `CLONE_NEW*` kind

    Raises:
        OSError
    """
    _check(_libc.setns(fd, ctypes.c_int(kind)))


def prctl(option: int, argument: int) -> None:
    """prctl(2), for options with one number

    Raises:
        OSError
    """
    zero = ctypes.c_ulong(0)
    _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(argument), zero, zero, zero))


def keep_capabilities(kept: frozenset[int]) -> None:
    """Drop all capabilities but `kept`, for good: bounding, ambient and inheritable sets too (capabilities(7))

    Raises:
        OSError: EPERM without CAP_SETPCAP
    """
    for number in range(_CAPABILITIES_MAX + 1):
        if number not in kept:
            try:
                prctl(PR_CAPBSET_DROP, number)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                break  # the kernel knows no more
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    before = ctypes.create_string_buffer(24)
    _check(_libc.capget(header, before))
    had = struct.unpack("=6I", before.raw)
    mask = sum(1 << number for number in kept)
    low, high = had[1] & mask & 0xFFFFFFFF, had[4] & mask >> 32
    _check(_libc.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)))


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


def partition_ioctl(fd: int, operation: int, number: int, start: int = 0, length: int = 0) -> None:
    """BLKPG on the disk open as `fd`: one partition added, taken away or resized in the kernel's mind; bytes

    Raises:
        OSError: EBUSY when it is in use, and isn't only to be resized
    """
    partition = ctypes.create_string_buffer(struct.pack("=qqi64s64s4x", start, length, number, b"", b""))
    argument = struct.pack("=iii4xQ", operation, 0, len(partition) - 1, ctypes.addressof(partition))
    fcntl.ioctl(fd, BLKPG, argument)


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
