"""Complete files by their SHA-256: how they come in, how they are used, and what happens to a damaged one"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from helper_host.image.cache import locks
from helper_host.image.cache.folder import OBJECTS, Folder
from helper_host.image.content import PIECE, FileContent
from helper_host.image.formats.base import read_into

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable

COMPLETE = 0o400
"""Mode of a file that has all its bytes; one that still grows has `GROWING`."""
GROWING = 0o600


class Kept(FileContent):
    """An object, hashed just now; while it is open nothing evicts it"""

    def __init__(self, fd: int, name: str, file_name: str, sha256: str) -> None:
        super().__init__(fd, "", name=name, sha256=sha256)
        self.file_name = file_name


def take(folder: Folder, sha256: str, warn: Callable[[str], None]) -> int | None:
    """A descriptor of the object, if it is there and is what its name says; one that isn't is removed

    Raises:
        OSError
    """
    fd = open_used(folder.at(OBJECTS, sha256))
    if fd is None:
        return None
    try:
        if hash_of(fd) == sha256:
            touch(fd)
            return fd
        warn(f"The cache's copy {sha256[:16]}... was damaged on the disk and is removed: look at the storage")
        drop(folder, sha256, fd)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


def open_used(path: str) -> int | None:
    """A descriptor that keeps the file from being evicted; None where there is none"""
    while True:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        # whoever evicts has it for a moment only
        fcntl.flock(fd, fcntl.LOCK_SH)
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)


def hash_of(fd: int) -> str:
    """SHA-256 of the whole file"""
    return hashed(fd, os.fstat(fd).st_size).hexdigest()


def hashed(fd: int, size: int, progress: Callable[[int], None] = lambda _: None) -> hashlib._Hash:
    """A SHA-256 that has seen the file's first `size` bytes; OSError if there are fewer"""
    import hashlib

    total = hashlib.sha256()
    buffer = memoryview(bytearray(PIECE))
    position = 0
    while position < size:
        part = buffer[: min(PIECE, size - position)]
        if read_into(fd, part, position) != len(part):
            raise OSError(5, "The file has become shorter")
        total.update(part)
        position += len(part)
        progress(position)
    return total


def touch(fd: int) -> None:
    """It is used now; other than the kernel's own access time this one is exact, and kept on every mount"""
    status = os.fstat(fd)
    with suppress(OSError):
        os.utime(fd, ns=(time.time_ns(), status.st_mtime_ns))


def drop(folder: Folder, sha256: str, fd: int) -> None:
    """Remove the object, if it still is the file that was opened as `fd`"""
    path = folder.at(OBJECTS, sha256)
    with locks.locked(folder.at("lock")), suppress(FileNotFoundError):
        if os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(fd)):
            os.unlink(path)


def keep(folder: Folder, name: str, sha256: str) -> None:
    """Make an object of a complete and synced file of the cache; one with the same content gives way to it

    Raises:
        OSError
    """
    with locks.locked(folder.at("lock")):
        os.rename(folder.at(name), folder.at(OBJECTS, sha256))
    folder.sync(OBJECTS)
