"""Reading and listing in the image's tree, with a bound on everything"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from helper_agent.api import TaskError
from helper_agent.tree.places import Places, absolute

ENTRIES_MAX = 100_000
"""Most names one call lists."""

Hidden = Callable[[str], bool]
"""Whether a name is one of ours (`changes`), to be passed over."""


def content(places: Places, path: str, limit: int) -> bytes:
    """As `Root.read`"""
    with places.opened_kind(path, stat.S_IFREG) as fd:
        found = b""
        if os.fstat(fd).st_size <= limit:
            with open(fd, "rb", buffering=0, closefd=False) as file:
                while len(found) <= limit and (part := file.read(limit + 1 - len(found))):
                    found += part
            if len(found) <= limit:
                return found
    raise TaskError(f"{path} in the image has more than {limit} bytes, too many to be what it should")


def part(places: Places, path: str, offset: int, size: int) -> bytes:
    """As `Root.read_part`"""
    with places.opened_kind(path, stat.S_IFREG) as fd:
        return os.pread(fd, size, offset)


def names(places: Places, path: str, hidden: Hidden) -> list[str]:
    """As `Root.listdir`"""
    return [name for name, _ in _entries(places, path, hidden)]


def glob(places: Places, pattern: str, hidden: Hidden) -> list[str]:
    """As `Root.glob`"""
    import fnmatch

    paths = [""]
    for part in absolute(pattern).split("/")[1:]:
        if not any(character in part for character in "*?["):
            paths = [f"{path}/{part}" for path in paths]
            continue
        folders = [path for path in paths if stat.S_ISDIR(places.mode(path or "/") or 0)]
        paths = []
        for folder in folders:
            paths += [
                f"{folder}/{name}"
                for name in fnmatch.filter(names(places, folder or "/", hidden), part)
                if part.startswith(".") or not name.startswith(".")
            ]
            if len(paths) > ENTRIES_MAX:
                raise TaskError(f"More than {ENTRIES_MAX} paths in the image fit {pattern}")
    return sorted(path for path in paths if places.mode(path, os.O_NOFOLLOW) is not None)


def walk(places: Places, path: str, hidden: Hidden) -> Iterator[str]:
    """As `Root.walk`"""
    count = 0
    waiting = [path.rstrip("/")]
    while waiting:
        folder = waiting.pop()
        try:
            found = _entries(places, folder or "/", hidden)
        except FileNotFoundError:
            if count == 0:
                raise
            continue  # gone since it was listed, by who walks here
        count += len(found)
        if count > ENTRIES_MAX:
            raise TaskError(f"{path} in the image holds more than {ENTRIES_MAX} names")
        for name, _ in found:
            yield f"{folder}/{name}"
        waiting.extend(f"{folder}/{name}" for name, is_folder in reversed(found) if is_folder)


def _entries(places: Places, path: str, hidden: Hidden) -> list[tuple[str, bool]]:
    """Names in a folder, sorted, and whether each is a folder itself (a symlink is none)"""
    found: list[tuple[str, bool]] = []
    with places.opened_kind(path, stat.S_IFDIR) as fd, os.scandir(fd) as entries:
        for entry in entries:
            if hidden(entry.name):
                continue
            if len(found) >= ENTRIES_MAX:
                raise TaskError(f"{path} in the image holds more than {ENTRIES_MAX} names")
            found.append((entry.name, entry.is_dir(follow_symlinks=False)))
    return sorted(found)
