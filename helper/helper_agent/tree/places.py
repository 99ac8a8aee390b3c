"""Where a path leads in the image's tree: every name in it is resolved here, and nowhere else

By the kernel with openat2(2), as if the tree were the root folder (RESOLVE_IN_ROOT), and with no way through /proc's
magic links. What is opened is closed before a time limit may interrupt (`clock.shielded`): a descriptor that is left
would keep the image from being unmounted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from helper_agent import clock, syscalls
from helper_agent.api import TaskError

LINKS_MAX = 40
"""Symlinks followed for one path, the kernel's own limit."""
ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""A path that fails so leads to nothing."""

_RESOLVE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS

Make = Callable[[int, str, str], None]
"""Makes the folder `name` in the folder that is open; the third is its path, for errors."""


class Places:
    """The tree whose root folder is open as `fd`"""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.kept: tuple[str, ...] = ()
        """Folders below which nothing is changed."""
        self.kept_why = ""

    def open(self, path: str, flags: int) -> int:
        """`path` opened inside the tree

        Raises:
            FileNotFoundError: it leads nowhere
            TaskError: it leads astray
        """
        try:
            return syscalls.openat2(self.fd, absolute(path), flags, resolve=_RESOLVE)
        except OSError as error:
            explain(error, path)

    @contextmanager
    def opened(self, path: str, flags: int = os.O_PATH) -> Iterator[int]:
        """`open`, until the body is done"""
        with clock.shielded():
            fd = self.open(path, flags)
            try:
                yield fd
            finally:
                os.close(fd)

    @contextmanager
    def opened_kind(self, path: str, *kinds: int) -> Iterator[int]:
        """`path` opened for reading, after an open that has no effect said that it is one of `kinds` (S_IFREG, ...)"""
        with self.opened(path) as place:
            mode = os.fstat(place).st_mode
            if stat.S_IFMT(mode) not in kinds:
                raise TaskError(f"{path} in the image is {kind(mode)}, not {' or '.join(map(kind, kinds))}")
            fd = reopen(place)
            try:
                yield fd
            finally:
                os.close(fd)

    def mode(self, path: str, flags: int = 0) -> int | None:
        """`st_mode` of what `path` leads to, None where that is nothing"""
        with clock.shielded():
            try:
                fd = syscalls.openat2(self.fd, absolute(path), os.O_PATH | flags, resolve=_RESOLVE)
            except OSError as error:
                if error.errno in ABSENT:
                    return None
                raise
            try:
                return os.fstat(fd).st_mode
            finally:
                os.close(fd)

    @contextmanager
    def place(self, path: str, make: Make | None, *, follow: bool = True) -> Iterator[tuple[int, str]]:
        """The folder `path` belongs to, as a descriptor, and its name there, symlinks at its end followed

        Folders that lack are made with `make`; without it they raise FileNotFoundError.
        """
        with clock.shielded():
            folder, name = self._place(path, make, follow, LINKS_MAX)
            try:
                yield folder, name
            finally:
                os.close(folder)

    def _place(self, path: str, make: Make | None, follow: bool, links: int) -> tuple[int, str]:
        asked = path
        while True:
            parent, _, name = absolute(path).rstrip("/").rpartition("/")
            if name in ("", ".", ".."):
                raise TaskError(f"{asked} in the image leads to a folder, not to a file")
            folder = self._folder(parent or "/", make, links)
            try:
                target = os.readlink(name, dir_fd=folder) if follow else None
            except OSError:  # EINVAL: no symlink; ENOENT: nothing yet; the rest comes up again when it is used
                target = None
            if target is None:
                try:
                    self.refuse_kept(folder, asked)
                except BaseException:
                    os.close(folder)
                    raise
                return folder, name
            os.close(folder)
            links -= 1
            if links < 0:
                raise TaskError(f"{asked} in the image is a symlink that leads in a circle")
            path = target if target.startswith("/") else f"{parent}/{target}"

    def refuse_kept(self, fd: int, path: str) -> None:
        """Raise a TaskError where what is open as `fd` is one of the folders `kept`, or below one"""
        if not self.kept:
            return
        tree = os.readlink(f"/proc/self/fd/{self.fd}").rstrip("/")
        place = os.readlink(f"/proc/self/fd/{fd}")
        if any(f"{place}/".startswith(f"{tree}{folder}/") for folder in self.kept):
            raise TaskError(f"{path} in the image is part of what its system never changes", self.kept_why)

    def _folder(self, path: str, make: Make | None, links: int) -> int:
        try:
            return self.open(path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            if make is None or links <= 0:
                raise
        folder, name = self._place(path, make, True, links - 1)
        try:
            make(folder, name, path)
            return syscalls.openat2(folder, name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        finally:
            os.close(folder)


def absolute(path: str) -> str:
    """`path`, which has to be absolute"""
    if not path.startswith("/"):
        raise ValueError(f"not an absolute path: {path!r}")
    return path


def explain(error: OSError, path: str) -> NoReturn:
    """Raise what `error`, met on the way to `path`, means"""
    if error.errno == errno.ELOOP:
        raise TaskError(f"{path} in the image is a symlink that leads in a circle") from None
    if error.errno == errno.ENOTDIR:
        raise TaskError(f"{path} in the image leads through something that is not a folder") from None
    if error.errno == errno.ENAMETOOLONG:
        raise TaskError(f"{path[:64]}... in the image is too long a path") from None
    raise error


def kind(mode: int) -> str:
    """What `st_mode` (or an S_IFMT value) is, for people"""
    names = {
        stat.S_IFREG: "a regular file",
        stat.S_IFDIR: "a folder",
        stat.S_IFLNK: "a symlink",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFBLK: "a block device",
        stat.S_IFCHR: "a character device",
    }
    return names.get(stat.S_IFMT(mode), "of an unknown kind")


def reopen(fd: int) -> int:
    """What is open as a mere place (O_PATH), opened for reading; only a regular file or a folder"""
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def refuse_immutable(fd: int, what: str) -> None:
    """Raise a TaskError where the file or folder `fd` has a flag that forbids changes (chattr(1))"""
    # ioctl() is refused on O_PATH descriptors, and folders are held as such
    real = reopen(fd)
    try:
        flags = syscalls.file_flags(real)
    finally:
        os.close(real)
    if flags & (syscalls.FS_IMMUTABLE_FL | syscalls.FS_APPEND_FL):
        word = "immutable" if flags & syscalls.FS_IMMUTABLE_FL else "append-only"
        raise TaskError(f"{what} in the image is {word}", "take the flag away in the image with chattr -i -a")
