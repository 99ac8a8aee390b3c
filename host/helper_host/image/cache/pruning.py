"""Making room in the cache on demand, and removing what killed processes have left"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import NamedTuple

from helper_host.image.cache import locks, records, room
from helper_host.image.cache.folder import OBJECTS, PARTS, URLS, Folder, unusable
from helper_host.image.cache.room import Entry, Room
from helper_host.image.cache.spec import CacheSpec

DAY = 86400
LEFTOVER_SECONDS = 3600
"""Age of a file that is there for a moment only, and was forgotten therefore."""


class Pruned(NamedTuple):
    """What was done"""

    removed: int
    """Copies and partial downloads."""
    size: int
    """Bytes that they took."""
    left: int
    left_size: int
    in_use: int
    """What would have gone too, if nobody used it."""


def prune(spec: CacheSpec, *, everything: bool = False, older_than: float | None = None) -> Pruned:
    """Remove what is too much, and what nobody can use any more; never what is in use

    Args:
        everything: all that isn't in use
        older_than: days since its last use after which something goes

    Raises:
        ProviderError: E-CACHE
    """
    folder = Folder.opened(spec.folder)
    try:
        before = room.entries_of(folder)
        in_use = 0
        if everything or older_than is not None:
            limit = float("inf") if everything else time.time() - (older_than or 0) * DAY
            with locks.locked(folder.at("lock")):
                in_use = sum(not room.remove(folder, entry) for entry in before if entry.used < limit)
        else:
            Room(folder, spec.size).shrink()
        _sweep(folder)
        after = room.entries_of(folder)
    except OSError as error:
        raise unusable(spec.folder, error) from None
    kept = {entry.name for entry in after}
    gone = [entry for entry in before if entry.name not in kept]
    return Pruned(len(gone), _total(gone), len(after), _total(after), in_use)


def _total(entries: list[Entry]) -> int:
    return sum(entry.size for entry in entries)


def _sweep(folder: Folder) -> None:
    """What says something of files that are gone, and what was being written when its writer was killed"""
    for name in folder.names(""):
        path = folder.at(name)
        with suppress(FileNotFoundError):
            if name.startswith(("key.", "spool.")) and time.time() - os.stat(path).st_mtime > LEFTOVER_SECONDS:
                os.unlink(path)
    keys = {name.partition(".")[0] for kind in (PARTS, URLS) for name in folder.names(kind)}
    for key in sorted(keys):
        path = folder.at(PARTS, f"{key}.lock")
        lock = locks.try_lock(path)
        if lock is None:
            continue  # somebody fetches it
        try:
            _sweep_key(folder, key)
        finally:
            locks.release(path, lock)


def _sweep_key(folder: Folder, key: str) -> None:
    """With the key's lock"""
    state = records.load_state(folder, key)
    part = f"{key}.{state.generation}.part" if state is not None and state.generation else ""
    if part and not os.path.exists(folder.at(PARTS, part)):
        part = ""
    kept = {part, f"{key}.state" if part else "", f"{key}.lock"}
    for name in folder.names(PARTS):
        if name.startswith(f"{key}.") and name not in kept:
            _unlink(folder.at(PARTS, name))
    _unlink(folder.at(URLS, f"{key}.tmp"))
    reference = records.load_reference(folder, key)
    if reference is None or not os.path.exists(folder.at(OBJECTS, reference.sha256)):
        _unlink(folder.at(URLS, key))


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
