"""What is in the cache"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import NamedTuple

from helper_host.image.cache import records
from helper_host.image.cache.folder import OBJECTS, PARTS, URLS, Folder


class Copy(NamedTuple):
    """A complete file"""

    sha256: str
    shown: tuple[str, ...]
    """The URLs that it came from, as far as they still have it."""
    size: int
    fetched: float
    """When, in seconds since the epoch."""
    used: float
    """When last."""


class Partial(NamedTuple):
    """A download that is under way, or was"""

    shown: str
    size: int
    """Bytes so far."""
    total: int
    """Bytes in all; -1: nobody knows."""
    changed: float
    pid: int
    """Who fetches it; 0: nobody."""


def copies(folder: Folder) -> list[Copy]:
    """The complete ones, those first that were used last"""
    shown = shown_of(folder)
    found = []
    for name in folder.names(OBJECTS):
        with suppress(FileNotFoundError):
            status = os.stat(folder.at(OBJECTS, name), follow_symlinks=False)
            found.append(Copy(name, shown.get(name, ()), status.st_size, status.st_mtime, status.st_atime))
    return sorted(found, key=lambda copy: -copy.used)


def partials(folder: Folder) -> list[Partial]:
    """Downloads that are under way, or were when whoever fetched them had to end"""
    found = []
    for name in folder.names(PARTS):
        key = name.partition(".")[0]
        if not name.endswith(".part"):
            continue
        with suppress(FileNotFoundError):
            status = os.stat(folder.at(PARTS, name), follow_symlinks=False)
            state = records.load_state(folder, key) or records.State("", "(unknown)")
            pid = state.pid if _is_locked(folder.at(PARTS, f"{key}.lock")) else 0
            found.append(Partial(state.shown, status.st_size, state.size, status.st_mtime, pid))
    return found


def shown_of(folder: Folder) -> dict[str, tuple[str, ...]]:
    """Objects' hashes and the URLs that they came from"""
    found: dict[str, tuple[str, ...]] = {}
    for key in folder.names(URLS):
        reference = records.load_reference(folder, key)
        if reference is not None and reference.shown not in found.get(reference.sha256, ()):
            found[reference.sha256] = (*found.get(reference.sha256, ()), reference.shown)
    return found


def _is_locked(path: str) -> bool:
    """Whether somebody has the lock; other than trying to get it, looking disturbs nobody"""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        # shared: two who look don't see each other
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
