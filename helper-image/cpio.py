"""Writes a cpio archive in the `newc` format, which the kernel unpacks as its initramfs

Format: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel's sources.
Written here rather than by cpio(1): owners, times, inode numbers and order are then the same on every machine.
"""

from __future__ import annotations

import stat
from typing import NamedTuple

TRAILER = "TRAILER!!!"


class Entry(NamedTuple):
    """One file or folder; `mode` with its type bits"""

    name: str
    mode: int
    data: bytes = b""


def folder(name: str) -> Entry:
    """An empty folder"""
    return Entry(name, stat.S_IFDIR | 0o755)


def file(name: str, data: bytes, mode: int = 0o644) -> Entry:
    """A regular file"""
    return Entry(name, stat.S_IFREG | mode, data)


def archive(entries: list[Entry]) -> bytes:
    """The archive with `entries` in the order given; a folder goes before what is in it"""
    parts = [_record(number, entry) for number, entry in enumerate(entries, 1)]
    return b"".join([*parts, _record(0, Entry(TRAILER, 0))])


def _record(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
