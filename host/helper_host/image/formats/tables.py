"""What the readers of block formats share: their tables read in bulk, walked run by run

A disk of 10 GiB has 160,000 clusters, and Python needs a microsecond to do anything with each of them. So a table is
one array, and only where the next entry isn't what follows from the one before is anything done at all.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

from helper_host.image.formats.base import SECTOR, Extent, Packed, read_into, refused
from helper_host.image.formats.raw import holes_and_data

VIRTUAL_MAX = 1 << 50
"""Bytes; a PiB is beyond any disk of an instance, and keeps all sums small."""
HOLE = 1 << 18
"""Bytes of an extent in which looking for holes costs less than reading them."""
INCOMPLETE = "look whether its download was complete"


def read_exactly(fd: int, size: int, position: int, length: int, what: str) -> bytes:
    """Bytes of a file of `size` bytes that must all be there

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    if position < 0 or position + length > size:
        raise refused(f"The {what} is not inside the file", INCOMPLETE)
    buffer = bytearray(length)
    try:
        count = read_into(fd, memoryview(buffer), position)
    except OSError as error:
        raise refused(f"The {what} can't be read ({error.strerror})", "look at its storage") from None
    if count != length:
        raise refused(f"The {what} is cut off", INCOMPLETE)
    return bytes(buffer)


def numbers(data: bytes, code: Literal["I", "Q"], order: Literal["little", "big"]) -> array[int]:
    """Unsigned numbers of 4 (`I`) or 8 bytes (`Q`)"""
    words = array(code, data)
    if sys.byteorder != order:
        words.byteswap()
    return words


def runs(words: array[int], step: int, still: Collection[int]) -> Iterator[tuple[int, int, int]]:
    """A table as runs `(index, count, word)`: the next word is larger by `step`, or the same if it is one of `still`"""
    start, first, expected, growth = 0, 0, -1, 0
    for index, word in enumerate(words):
        if word == expected:
            expected += growth
            continue
        if index:
            yield start, index - start, first
        start, first = index, word
        growth = 0 if word in still else step
        expected = word + growth
    if words:
        yield start, len(words) - start, first


def is_inside(position: int, length: int, size: int) -> bool:
    """Whether data lies in a file of `size` bytes; its last sector may be cut off"""
    return position >= 0 and position + length <= -(-size // SECTOR) * SECTOR


def joined(pieces: Iterable[Extent], fd: int, size: int, name: str) -> Iterator[Extent]:
    """Neighbours of one kind as one extent; where the file has holes, they are zeros that need no reading

    What is mapped may not be more than the file's `size`, so a table that names the same place over and over ends.

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    extents = _joined(pieces, size, name)
    sparse = os.fstat(fd).st_blocks * SECTOR < size
    return _without_holes(extents, fd) if sparse else extents


def _without_holes(extents: Iterable[Extent], fd: int) -> Iterator[Extent]:
    """Large extents as data and zeros; qemu-img leaves most of a vhdx block of 32 MiB unwritten"""
    for extent in extents:
        source = extent.source
        if not isinstance(source, int) or extent.length < HOLE:
            yield extent
            continue
        for start, end, is_data in holes_and_data(fd, source + extent.length, source):
            yield Extent(extent.offset + start - source, end - start, start if is_data else None)


def _joined(pieces: Iterable[Extent], size: int, name: str) -> Iterator[Extent]:
    offset, length = 0, 0
    source: int | Packed | None = None
    budget = -(-size // SECTOR) * SECTOR
    for extent in pieces:
        if isinstance(extent.source, int):
            budget -= extent.length
            if budget < 0:
                raise refused(f"The {name} image maps more data than its file holds")
        follows = source + length if isinstance(source, int) else source
        if length and extent.source == follows and not isinstance(follows, Packed):
            length += extent.length
            continue
        if length:
            yield Extent(offset, length, source)
        offset, length, source = extent
    yield Extent(offset, length, source)
