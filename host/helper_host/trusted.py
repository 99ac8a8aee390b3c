"""Files and folders that decide what root does: they must be root's own, whoever else could write them would be root"""

from __future__ import annotations

import errno
import os
import stat

FLAGS = os.O_RDONLY | os.O_CLOEXEC
# a FIFO in the place of a file must not block, a terminal not become ours
FILE_FLAGS = FLAGS | os.O_NONBLOCK | os.O_NOCTTY
ACL = "system.posix_acl_access"


class Untrusted(Exception):
    """It may not be used: `why` follows its path, `remedy` says what to do"""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


def read(path: str, limit: int, *, follow: bool = True) -> bytes:
    """The content of a regular file of root's, at most `limit` bytes; `follow`: it may be a symlink

    Raises:
        FileNotFoundError: there is none
        Untrusted
    """
    descriptor = _open(path, FILE_FLAGS | (0 if follow else os.O_NOFOLLOW))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Untrusted("is not a regular file", "make it one")
        _check(path, status, descriptor)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise Untrusted(f"has more than {limit} bytes", "see whether this is the right file")
    return content


def names(path: str) -> list[str]:
    """Names of what is in a folder of root's, its own folders left out

    Raises:
        FileNotFoundError: there is no such folder
        Untrusted
    """
    folder = _open(path, FLAGS | os.O_DIRECTORY)
    try:
        _check(path, os.fstat(folder), folder)
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if not entry.is_dir(follow_symlinks=False))
    finally:
        os.close(folder)


def check_way(path: str) -> None:
    """Whether nobody but root can put something else at `path`: it, and every folder on its real way, are root's

    Raises:
        FileNotFoundError
        Untrusted: `why` begins with the name of the folder if it isn't `path` itself
    """
    real = os.path.realpath(path)
    way = real
    while True:
        status = os.stat(way)
        # in a folder such as /tmp everybody may add things, but nobody can replace those of root
        if not (way != real and status.st_mode & stat.S_ISVTX and status.st_uid == 0):
            try:
                _check(way, status)
            except Untrusted as error:
                raise Untrusted(error.why if way == path else f"is in {way}, which {error.why}", error.remedy) from None
        if way == "/":
            return
        way = os.path.dirname(way)


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Untrusted("is a symlink", "put the file itself there") from None
        if error.errno == errno.ENOTDIR:
            raise Untrusted("is not a folder", "make it one, or correct the setting") from None
        raise Untrusted(f"can't be read ({error.strerror})", "look at its owner and mode") from None


def _check(path: str, status: os.stat_result, opened: int | str = "") -> None:
    if status.st_uid not in (0, os.geteuid()):
        raise Untrusted("does not belong to root", f"chown root:root {path}")
    by_group = status.st_mode & 0o020
    if status.st_mode & 0o002 or (by_group and (status.st_gid != 0 or _has_acl(opened or path))):
        raise Untrusted("can be written by others than root", f"chmod go-w {path}")


def _has_acl(path: int | str) -> bool:
    """Whether users may be named in it: the group's bits are then what any of them may at most (acl(5))"""
    try:
        return bool(os.getxattr(path, ACL))
    except OSError:
        return False
