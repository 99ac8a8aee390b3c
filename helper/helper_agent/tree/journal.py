"""What a task changed in the tree, so that it can be taken back: an optional task that fails leaves no trace

Nothing is copied, so taking back needs no room: what a change replaces or removes stays in its folder, under a name
that is ours (`changes.PREFIX`) and that listings pass over, until the task has succeeded. Taking back renames it: the
old file itself comes back, with its other hard links, and so do whole folders.

A machine that dies in between leaves such names. A new instance's disk is wiped then; in one that only gets another
name they take room and do no harm.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import partial

from helper_agent import clock, syscalls
from helper_agent.api import TaskError
from helper_agent.tree import removal
from helper_agent.tree.changes import Changes, new_name
from helper_agent.tree.writing import Owners, attributes

HELD_MAX = 900
"""Folders changed, and files of another mode or owner, in one task: each is held open, and a process has 1024."""
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS)

Inode = tuple[int, int]


class Journal(Changes):
    """Steps as `Changes`, until `rollback` undoes them in reverse or `commit` makes them final"""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._undo: list[Callable[[], None]] = []
        self._aside: list[tuple[int, str]] = []
        self._hidden: set[str] = set()
        self._held: dict[Inode, int] = {}
        self._noted: dict[Inode, int] = {}
        self._made: set[Inode] = set()
        """Made since the beginning: nobody wants back what these were."""

    # --- steps ---

    def place(self, folder: int, draft: str, name: str) -> None:
        """As `Changes`"""
        here = self._hold(folder)
        new = _inode(here, draft)
        old = _inode(here, name)
        if old is None or old in self._made:
            os.rename(draft, name, src_dir_fd=here, dst_dir_fd=here)
            if old is None:
                self._undo_made(here, name)
        else:
            self._kept(here, name, _exchange(here, draft, name))
        if new:
            self._made.add(new)

    def move(self, folder: int, name: str, to_folder: int, to: str) -> None:
        """As `Changes`"""
        here, there = self._hold(folder), self._hold(to_folder)
        keep = _set_aside(there, to) if _inode(there, to) else None
        try:
            os.rename(name, to, src_dir_fd=here, dst_dir_fd=there)
        except OSError:
            if keep:
                os.rename(keep, to, src_dir_fd=there, dst_dir_fd=there)
            raise
        if keep:
            self._kept(there, to, keep)
        self._undo.append(lambda: os.rename(to, name, src_dir_fd=there, dst_dir_fd=here))

    def remove(self, folder: int, name: str) -> None:
        """As `Changes`"""
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        self.remove_tree(folder, name)

    def remove_tree(self, folder: int, name: str) -> None:
        """As `Changes`"""
        here = self._hold(folder)
        self._kept(here, name, _set_aside(here, name))

    def made(self, folder: int, name: str) -> None:
        """As `Changes`"""
        try:
            here = self._hold(folder)
        except BaseException:
            removal.remove(folder, name)
            raise
        if new := _inode(here, name):
            self._made.add(new)
        self._undo_made(here, name)

    def alters(self, fd: int) -> None:
        """As `Changes`"""
        before = os.fstat(fd)
        if _key(before) in self._made or _key(before) in self._noted:
            return
        self._limit()
        self._noted[_key(before)] = held = os.dup(fd)
        mode, owner, named = before.st_mode, self._owners.of(fd), attributes(fd)
        self._undo.append(lambda: self._restore(held, mode, owner, named))

    def hides(self, name: str) -> bool:
        """As `Changes`"""
        return name in self._hidden

    # --- the end ---

    def commit(self) -> None:
        """Everything stays as it is now

        Raises:
            OSError: something that was removed could not be
        """
        self._end([partial(_remove, folder, name) for folder, name in self._aside])

    def rollback(self) -> None:
        """Everything is as it was

        Raises:
            OSError: something could not be taken back; the rest was
        """
        self._end(self._undo[::-1])

    def _end(self, steps: list[Callable[[], None]]) -> None:
        failed: Exception | None = None
        with clock.shielded():
            for step in steps:
                try:
                    step()
                except (OSError, RecursionError) as error:  # the latter: folders that a program of the image made
                    failed = failed or error
            for fd in (*self._held.values(), *self._noted.values()):
                os.close(fd)
            self._held.clear()
            self._noted.clear()
        if failed:
            raise failed

    # --- how ---

    def _kept(self, folder: int, name: str, keep: str) -> None:
        """What was at `name` is at `keep` now"""
        self._hidden.add(keep)
        self._aside.append((folder, keep))
        self._undo.append(lambda: os.rename(keep, name, src_dir_fd=folder, dst_dir_fd=folder))

    def _undo_made(self, folder: int, name: str) -> None:
        self._undo.append(lambda: _remove(folder, name))

    def _restore(self, fd: int, mode: int, owner: tuple[int, int], named: dict[str, bytes]) -> None:
        self._owners.give(fd, *owner)
        # After chown, which takes set-user-ID away; and only if it was changed, which an immutable file refused
        if os.fstat(fd).st_mode != mode:
            os.fchmod(fd, stat.S_IMODE(mode))
        there = attributes(fd)
        for name in there.keys() - named.keys():
            os.removexattr(fd, name)
        for name, value in named.items():
            if there.get(name) != value:  # chown takes security.capability away
                os.setxattr(fd, name, value)

    def _hold(self, folder: int) -> int:
        """The folder, held open until the end"""
        key = _key(os.fstat(folder))
        if key not in self._held:
            self._limit()
            self._held[key] = os.dup(folder)
        return self._held[key]

    def _limit(self) -> None:
        if len(self._held) + len(self._noted) >= HELD_MAX:
            raise TaskError(
                f"An optional task can't change more than {HELD_MAX} folders, modes and owners, to be taken back",
                "declare the task with optional=False, or split it",
            )


def _key(status: os.stat_result) -> Inode:
    return status.st_dev, status.st_ino


def _inode(folder: int, name: str) -> Inode | None:
    try:
        return _key(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _remove(folder: int, name: str) -> None:
    try:
        removal.remove(folder, name)
    except FileNotFoundError:  # gone with its folder, or by a program of the image
        pass


def _set_aside(folder: int, name: str) -> str:
    """The new name of what was `name`"""
    keep = new_name()
    os.rename(name, keep, src_dir_fd=folder, dst_dir_fd=folder)
    return keep


def _exchange(folder: int, draft: str, name: str) -> str:
    """`draft` as `name`; where what was there is now"""
    try:
        syscalls.exchange(folder, draft, folder, name)
        return draft
    except OSError as error:
        if error.errno not in _NO_EXCHANGE:
            raise
    keep = _set_aside(folder, name)
    try:
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.rename(keep, name, src_dir_fd=folder, dst_dir_fd=folder)
        raise
    return keep
