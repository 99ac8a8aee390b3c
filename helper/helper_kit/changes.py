"""What happened to a tree: what is new, changed and gone, with the lines of small text files"""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

TEXT_MAX = 64 * 1024
"""Most bytes of a file whose lines are compared."""
KEPT_MAX = 64 * 1024 * 1024
"""Most bytes of files kept in all; beyond that only their names are told."""
LINES_MAX = 40
"""Most lines shown of one file."""

Owners = Mapping[str, tuple[int, int]]
"""Owners that files would have if root had run the task: `DEVICE:INODE` -> uid, gid."""


class Entry(NamedTuple):
    """One file, symlink, folder or node of a tree"""

    status: os.stat_result
    content: bytes | None
    """Of a small regular file; of a symlink, where it points."""

    def same(self, other: Entry) -> bool:
        """Whether both are alike, for all that anybody could see"""
        if self.content is not None and other.content is not None:
            alike = self.content == other.content
        else:
            alike = self.status.st_size == other.status.st_size and self.status.st_mtime_ns == other.status.st_mtime_ns
        return alike and self._about() == other._about()

    def _about(self) -> tuple[int, ...]:
        return (self.status.st_mode, self.status.st_uid, self.status.st_gid)


Snapshot = dict[str, Entry]
"""Absolute paths in the tree -> what is there."""


def snapshot(folder: str) -> Snapshot:
    """All that is below `folder`; filesystems mounted there are left out, as is what this user may not read"""
    taken: Snapshot = {}
    kept = 0
    device = os.lstat(folder).st_dev
    for above, names, others in os.walk(folder):
        here = [os.path.join(above, name) for name in (*names, *others)]
        names[:] = [name for name in names if os.lstat(os.path.join(above, name)).st_dev == device]
        for path in here:
            status = os.lstat(path)
            content = _content(path, status) if kept < KEPT_MAX else None
            kept += len(content or b"")
            taken[f"/{os.path.relpath(path, folder)}"] = Entry(status, content)
    return taken


def _content(path: str, status: os.stat_result) -> bytes | None:
    if stat.S_ISLNK(status.st_mode):
        return os.fsencode(os.readlink(path))
    if not stat.S_ISREG(status.st_mode) or status.st_size > TEXT_MAX:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def report(before: Snapshot, after: Snapshot, *, owners: Owners | None = None, secrets: Sequence[str] = ()) -> str:
    """What differs, for a terminal; `secrets` are struck out"""
    lines = [
        line for path in sorted(before.keys() | after.keys()) for line in _lines(path, before, after, owners or {})
    ]
    text = "\n".join(lines or ["nothing was changed"])
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return text


def _lines(path: str, before: Snapshot, after: Snapshot, owners: Owners) -> Iterator[str]:
    old, new = before.get(path), after.get(path)
    if new is None:
        yield f"removed  {path}"
    elif old is None:
        yield f"new      {path} ({_about(new, owners)})"
        yield from _difference(b"", new.content) if stat.S_ISREG(new.status.st_mode) else ()
    elif not old.same(new) and not (stat.S_ISDIR(old.status.st_mode) and old._about() == new._about()):
        was, now = _about(old, {}), _about(new, owners)
        yield f"changed  {path}" + (f" ({was} -> {now})" if was != now else "")
        if stat.S_ISREG(old.status.st_mode) and stat.S_ISREG(new.status.st_mode):
            yield from _difference(old.content, new.content)


def _difference(old: bytes | None, new: bytes | None) -> Iterator[str]:
    """The lines that differ, indented"""
    if old is None or new is None or b"\0" in old + new:
        return
    was, now = (each.decode("utf-8", "replace").splitlines() for each in (old, new))
    # the first two lines of a difference name the files
    shown = list(difflib.unified_diff(was, now, n=1, lineterm=""))[2:]
    for line in shown[:LINES_MAX]:
        yield "         " + "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)
    if len(shown) > LINES_MAX:
        yield f"         [{len(shown) - LINES_MAX} more lines]"


def _about(entry: Entry, owners: Owners) -> str:
    status = entry.status
    if stat.S_ISLNK(status.st_mode):
        return f"-> {os.fsdecode(entry.content or b'')}"
    uid, gid = owners.get(f"{status.st_dev}:{status.st_ino}", (status.st_uid, status.st_gid))
    kind = "folder " if stat.S_ISDIR(status.st_mode) else ""
    return f"{kind}{stat.S_IMODE(status.st_mode):04o}, owner {uid}:{gid}"
