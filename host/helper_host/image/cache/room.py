"""Room in the cache: what lay unused for longest goes, within the bound of the settings and what the filesystem has"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import NamedTuple

from helper_host.image import kernel
from helper_host.image.cache import locks
from helper_host.image.cache.folder import NO_ROOM, OBJECTS, PARTS, Folder

BLOCK = 512
"""Bytes that st_blocks counts."""
RESERVE = 512 << 20
"""Bytes that are left to others on the filesystem, but not more than ..."""
RESERVE_SHARE = 20
"""... one part in so many of it: the default folder is on /var, which a node needs for other things."""
STEP = 64 << 20
"""Bytes for which room is looked for at once where a length isn't known."""


class Full(Exception):
    """There is no room for it; `str()` says why"""


class Entry(NamedTuple):
    """Something that can be evicted"""

    folder: str
    name: str
    used: float
    """When, in seconds since the epoch."""
    size: int
    """Bytes on the filesystem."""


class Room:
    """The room that there is for the cache

    Args:
        bound: bytes that all of it may take; 0: as the filesystem has it
    """

    def __init__(self, folder: Folder, bound: int) -> None:
        self._folder = folder
        self._bound = bound

    def reserve(self, fd: int, position: int, length: int, *, ahead: int = 0, counted: bool = True) -> int:
        """Room for `length` bytes from `position` on in the file `fd`, set aside where the filesystem can do that

        Args:
            ahead: as many would be fine, if there is room for them
            counted: the file lies in the cache for others, and counts for its bound

        Returns:
            to which position there is room

        Raises:
            Full
            OSError
        """
        if self._bound:
            if position + length > self._bound:
                raise Full(f"it has more than the {self._bound >> 20} MiB that cache_size_mib allows")
            ahead = min(ahead, self._bound - position)
        if ahead > length:
            with suppress(Full):
                return self._reserve(fd, position, ahead, counted)
        return self._reserve(fd, position, length, counted)

    def _reserve(self, fd: int, position: int, length: int, counted: bool) -> int:
        with locks.locked(self._folder.at("lock")):
            self._clear(length, counted=counted)
            while True:
                try:
                    kernel.fallocate(fd, kernel.KEEP_SIZE, position, length)
                except OSError as error:
                    if error.errno in NO_ROOM:
                        if self._evict_one():
                            continue
                        raise Full(f"{self._folder.path} has no room") from None
                    if error.errno not in kernel.NOT_SUPPORTED:
                        raise
                return position + length

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> None:
        """All of `data` at the file's position, others evicted where there is no room for it

        Raises:
            Full
            OSError
        """
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(fd, view) :]
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise
                with locks.locked(self._folder.at("lock")):
                    if not self._evict_one():
                        raise Full(f"{self._folder.path} has no room") from None

    def shrink(self) -> None:
        """Down to the bound"""
        with locks.locked(self._folder.at("lock")), suppress(Full):
            self._clear(0, counted=True)

    def _clear(self, length: int, *, counted: bool) -> None:
        """Evict until there is room for `length` bytes more"""
        while True:
            status = os.statvfs(self._folder.path)
            reserve = min(RESERVE, status.f_blocks * status.f_frsize // RESERVE_SHARE)
            lacking = length + reserve - status.f_bavail * status.f_frsize
            entries = entries_of(self._folder)
            over = sum(entry.size for entry in entries) + length - self._bound if counted and self._bound else 0
            if lacking <= 0 and over <= 0:
                return
            if not self._evict_one(entries):
                if lacking > 0:
                    raise Full(f"{self._folder.path} has no room for {length >> 20} MiB")
                raise Full(f"cache_size_mib allows {self._bound >> 20} MiB, and all of them are in use")

    def _evict_one(self, entries: list[Entry] | None = None) -> bool:
        """Remove what lay unused for longest; whether there was anything"""
        if entries is None:
            entries = entries_of(self._folder)
        return any(remove(self._folder, entry) for entry in sorted(entries, key=lambda entry: entry.used))


def entries_of(folder: Folder) -> list[Entry]:
    """Objects and partial downloads"""
    found = []
    for kind in (OBJECTS, PARTS):
        for name in folder.names(kind):
            if kind == PARTS and not name.endswith(".part"):
                continue
            with suppress(FileNotFoundError):
                status = os.stat(folder.at(kind, name), follow_symlinks=False)
                used = status.st_atime if kind == OBJECTS else status.st_mtime
                found.append(Entry(kind, name, used, status.st_blocks * BLOCK))
    return found


def remove(folder: Folder, entry: Entry) -> bool:
    """Remove an object or a partial download that nobody uses; whether that was so. Call it with the cache's lock"""
    if entry.folder == OBJECTS:
        return _remove_unused(folder.at(OBJECTS, entry.name))
    path = folder.at(PARTS, f"{entry.name.partition('.')[0]}.lock")
    lock = locks.try_lock(path)
    if lock is None:
        return False
    try:
        return _remove_unused(folder.at(PARTS, entry.name))
    finally:
        locks.release(path, lock)


def in_use(fd: int) -> bool:
    """Whether somebody reads the file that was opened as `fd`: whoever does so holds a shared lock"""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _remove_unused(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        if in_use(fd):
            return False
        os.unlink(path)
        return True
    except FileNotFoundError:
        return False
    finally:
        os.close(fd)
