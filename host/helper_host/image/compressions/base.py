"""What a compression is: one file with one `Compression` row, listed in `compressions/__init__.py`

A row has two sides: what the node needs to know, and what runs in the confined child (see `program`), which is where
all hostile bytes are unpacked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

PIECE = 1 << 20
"""Most bytes unpacked at once."""
STEP = 64 << 10
"""Most bytes that lzma and bz2 unpack at once: they gather them in small parts, and then join those."""
SLOTS = 8
"""Pieces of the memory that the child fills: those that its reader holds back, has queued and writes, and two more."""
ZEROS_FLAG = 1 << 31
"""The child's output is records of four bytes (little-endian): a length of at most `PIECE`. So many bytes are in the
next slot, which is the child's again once its reader has said so (a byte on the pipe `CREDITS`); with this flag there
are none, they are all zero. Only the last record may be shorter than `PIECE`."""
RECORD_HEADER = 4
CREDITS = 3
"""The child's descriptor that tells which slots are free again."""

Read = Callable[[], bytes]
"""Packed bytes, b"" at their end."""


class Output(Protocol):
    """Where plain bytes go"""

    def write(self, data: bytes) -> None:
        """The next bytes, also none"""
        ...

    def room(self) -> memoryview:
        """Where the next bytes may be put instead, at least one"""
        ...

    def put(self, count: int) -> None:
        """So many were put there"""
        ...


Unpack = Callable[[Read, Output], None]


class Damaged(Exception):
    """The packed bytes are not what they should be, or something else follows them"""


class Truncated(Exception):
    """The packed bytes end early"""


class TooLarge(Exception):
    """Unpacking would take more memory than it gets"""


class Compression(NamedTuple):
    """One compression"""

    name: str
    load: Callable[[], Unpack]
    """Imports what it needs, and gives what unpacks all of a file: every member, stream or frame of it."""
    memory: int
    """Bytes that unpacking takes at most, buffers not counted."""
    plain_size: Callable[[bytes, bytes], int | None]
    """What the file says of its plain size, by its first bytes and, where they are at hand, its last ones (else b"").

    It is no more than a hint: a file that has several parts says it of one of them only, and any file may lie.
    """
    library: str = ""
    """A package that is not Python's own."""
