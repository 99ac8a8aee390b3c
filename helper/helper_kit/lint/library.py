"""What a task finds in the helper image: modules to import, programs to run

The kit works without a helper image, so this repeats helper-image/image.toml; a test holds them equal.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatch

THIRD_PARTY = ("jinja2", "pyudev")
"""Python packages of the helper image for task authors."""

PRUNED = frozenset(
    (
        *("asyncio", "curses", "dbm", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "sqlite3", "test", "tkinter"),
        *("turtle", "turtledemo", "unittest", "venv", "wsgiref", "xmlrpc", "_pydecimal", "_pyio", "__phello__"),
        *("_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr", "_codecs_tw", "_ctypes_test"),
        *("_curses", "_curses_panel", "_dbm", "_gdbm", "_hashlib", "_ssl", "_sqlite3", "_zoneinfo", "audioop", "nis"),
        *("ossaudiodev", "readline"),
    )
)
"""What helper-image/image.toml takes out of Python's library."""
NOT_IN_DEBIAN = frozenset(
    (
        *("_tkinter", "distutils"),
        *("_msi", "_overlapped", "_scproxy", "_winapi", "msilib", "msvcrt", "nt", "winreg", "winsound"),
    )
)
"""What Debian has in packages of its own, or another system only."""
BROKEN = frozenset(("ssl", "doctest", "_asyncio"))
"""What is there and can't be imported, because it imports one of those."""


_PROGRAMS = """
[ [[ ar arch ash awk badblocks base64 basename bash bc blkid blockdev btrfs btrfstune bunzip2 busybox bzcat
bzip2 cat chattr chgrp chmod chown chroot cmp cp cpio cryptsetup cut date dc dd debugfs df diff dirname dmsetup
dos2unix du dumpe2fs e2fsck e2image e2label echo ed egrep env expand expr fallocate false fatlabel fgrep find
fold free fsck.ext* fsck.f2fs fsck.fat fsck.vfat fsck.xfs fsfreeze fstrim getopt grep groups gunzip gzip head
hexdump hostname id kill killall kmod less link ln losetup ls lsattr lsblk lvm lzcat lzma md5sum mkdir mke2fs
mkfifo mkfs.btrfs mkfs.ext* mkfs.f2fs mkfs.fat mkfs.vfat mkfs.xfs mknod mkpasswd mkswap mktemp modprobe more
mount mv nl nproc od paste patch pidof printf ps pwd python3 python3.* readlink realpath resize.f2fs resize2fs
rev rm rmdir rpm2cpio run-parts sed seq setsid sfdisk sh sha1sum sha256sum sha512sum shred shuf sleep sort stat
strings swaplabel sync tac tail tar tee test time timeout touch tr true truncate tty tune2fs umount uname
uncompress unexpand uniq unix2dos unlink unlzma unxz unzip uudecode uuencode vi wc which whoami wipefs xargs
xfs_admin xfs_db xfs_growfs xfs_io xfs_repair xxd xz xzcat yes zcat
"""
PROGRAMS = frozenset(_PROGRAMS.split())
"""Globs of the names of all programs, busybox's applets among them."""


def has_program(path: str) -> bool:
    """Whether the helper image has the program that `path`, or a name alone, means"""
    name = path.rpartition("/")[2]
    return any(fnmatch(name, glob) for glob in PROGRAMS)


def problem(module: str) -> str:
    """Why `import module` fails in the helper, "" if it doesn't"""
    top = module.partition(".")[0]
    if top in THIRD_PARTY:
        return ""
    if top in PRUNED | NOT_IN_DEBIAN | BROKEN:
        return f"{top} was left out of the Python of the helper image"
    if top not in sys.stdlib_module_names:
        return f"{top} is not in the helper image"
    return ""
