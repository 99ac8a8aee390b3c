"""Every copy in the cache hashed again"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import NamedTuple

from helper_host.image.cache import objects
from helper_host.image.cache.folder import OBJECTS, Folder, unusable
from helper_host.image.cache.listing import shown_of
from helper_host.image.content import Progress


class Damaged(NamedTuple):
    """A copy that was not what its name says, and is gone now"""

    sha256: str
    shown: tuple[str, ...]
    """The URLs that it came from."""


class Verified(NamedTuple):
    """What was found"""

    intact: int
    size: int
    """Bytes of those."""
    damaged: list[Damaged]


def verify(path: str, progress: Progress = lambda _done, _total: None) -> Verified:
    """Hash every object of the cache at `path`, and remove those that are damaged

    Raises:
        ProviderError: E-CACHE
    """
    folder = Folder.opened(path)
    try:
        names = folder.names(OBJECTS)
        total = sum(_size(folder.at(OBJECTS, name)) for name in names)
        shown = shown_of(folder)
        intact = size = done = 0
        damaged = []
        for name in names:
            fd = objects.open_used(folder.at(OBJECTS, name))
            if fd is None:
                continue  # evicted meanwhile
            try:
                if _hash(fd, functools.partial(_tell, progress, done, total)) == name:
                    intact += 1
                    size += os.fstat(fd).st_size
                else:
                    objects.drop(folder, name, fd)
                    damaged.append(Damaged(name, shown.get(name, ())))
                done += os.fstat(fd).st_size
            finally:
                os.close(fd)
    except OSError as error:
        raise unusable(path, error) from None
    return Verified(intact, size, damaged)


def _size(path: str) -> int:
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _tell(progress: Progress, before: int, total: int, position: int) -> None:
    progress(before + position, total)


def _hash(fd: int, progress: Callable[[int], None]) -> str:
    """As `objects.hash_of`; "" for what the disk doesn't give any more"""
    try:
        return objects.hashed(fd, os.fstat(fd).st_size, progress).hexdigest()
    except OSError:
        return ""
