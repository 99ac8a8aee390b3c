"""A tar archive (pax, POSIX.1-2001) that is put together while it is read: it takes no memory and no file of the node

Names, owners and modes are in its headers from the beginning; the files' content is read when the config drive is
filled. Extended attributes are pax records SCHILY.xattr.NAME, as star, GNU tar and libarchive have them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from helper_host.errors import ProviderError

SIZE_MAX = 64 << 20
"""Bytes of all files of an archive."""
MEMBERS_MAX = 20_000
BLOCK = 512
STEP = 1 << 16
XATTR = "SCHILY.xattr."
KINDS = {"file": b"0", "folder": b"5", "symlink": b"2"}
"""Their signs in a header."""


class Source(Protocol):
    """Where a file's content comes from"""

    def read(self) -> bytes:
        """All of it

        Raises:
            ProviderError: it can't be read any more
        """
        ...


class Given(NamedTuple):
    """Content that is at hand"""

    content: bytes

    def __repr__(self) -> str:
        return f"Given({len(self.content)} bytes)"

    def read(self) -> bytes:
        """It"""
        return self.content


class Member(NamedTuple):
    """A file, folder or symlink in an archive"""

    path: str
    """Absolute, in the image."""
    kind: str
    """file, folder, symlink."""
    mode: int
    owner: int | str
    """Number, or name by the image's own accounts."""
    group: int | str
    """As well; "" for the owner's own."""
    size: int = 0
    source: Source | None = None
    target: str = ""
    """Of a symlink."""
    attributes: Mapping[str, bytes] = {}


class Archive:
    """An archive of `members`; `open` gives its bytes"""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        self._headers = [_header(member) for member in self.members]
        self.size = sum(len(header) for header in self._headers) + 2 * BLOCK
        self.size += sum(_padded(member.size) for member in self.members)

    def __repr__(self) -> str:
        return f"Archive({len(self.members)} members, {self.size} bytes)"

    def open(self) -> io.BufferedReader:
        """A stream of it, from its beginning; `read(n)` gives n bytes, which pycdlib counts on"""
        return io.BufferedReader(_Stream(self.members, self._headers, self.size), STEP)


class _Stream(io.RawIOBase):
    """Forwards only; one file's content at a time is in memory"""

    def __init__(self, members: Sequence[Member], headers: Sequence[bytes], size: int) -> None:
        self._parts = iter(zip(members, headers, strict=True))
        self._size = size
        self._at = 0
        self._ready = b""
        self._content: Member | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if (offset, whence) != (self._at, os.SEEK_SET):
            raise io.UnsupportedOperation("an archive is read from its beginning to its end")
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready and self._at < self._size:
            self._ready = self._next()
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = memoryview(self._ready)[count:]  # type: ignore[assignment]  # copied by nobody
        self._at += count
        return count

    def _next(self) -> bytes:
        if self._content is not None:
            member, self._content = self._content, None
            content = member.source.read() if member.source is not None else b""
            if len(content) != member.size:
                raise ProviderError("E-SETTINGS", f"{member.path} changed while it was read", "try again")
            return content.ljust(_padded(member.size), b"\0")
        found = next(self._parts, None)
        if found is None:
            return bytes(2 * BLOCK)
        self._content = found[0] if found[0].size else None
        return found[1]


def _header(member: Member) -> bytes:
    import tarfile

    info = tarfile.TarInfo(member.path.lstrip("/"))
    info.type = KINDS[member.kind]
    info.mode = member.mode
    info.size = member.size
    info.linkname = member.target
    if isinstance(member.owner, str) or isinstance(member.group, str):
        # a number beside a name as a text
        info.uname, info.gname = str(member.owner), str(member.group)
    else:
        info.uid, info.gid = member.owner, int(member.group or 0)
    info.pax_headers = {
        f"{XATTR}{name}": value.decode("utf-8", "surrogateescape") for name, value in member.attributes.items()
    }
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return (size + BLOCK - 1) // BLOCK * BLOCK
