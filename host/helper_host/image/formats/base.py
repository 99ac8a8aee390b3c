"""What a format is: one file with a reader, and one row in `formats/__init__.py`"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from helper_host.errors import ProviderError

SECTOR = 512


class Packed(NamedTuple):
    """Where a compressed piece lies in the image's file"""

    position: int
    length: int
    """Most bytes it may take; what follows it in there is ignored."""


class Extent(NamedTuple):
    """A run of the disk's bytes

    `source` says where they come from: an int is a position in the image's file, None means zeros, `Packed` a piece
    that `Reader.unpack` makes bytes from.
    """

    offset: int
    length: int
    source: int | Packed | None


class Reader(Protocol):
    """An image whose header was found safe"""

    format: str
    virtual_size: int
    """Bytes of the disk, a multiple of 512."""

    def extents(self) -> Iterator[Extent]:
        """The whole disk in order, without gaps, neighbours of one kind joined

        Raises:
            ProviderError: E-IMAGE-REFUSED when the image's own map leads astray
        """
        ...

    def unpack(self, packed: Packed, into: memoryview) -> None:
        """Make the bytes of a `Packed` extent; `into` has the extent's length; called from several threads"""
        ...


class Format(NamedTuple):
    """One image format"""

    name: str
    """Of the module with its reader, too, which is imported when an image has this format."""
    reader: str
    """Class that takes a descriptor and the file's size, and raises E-IMAGE-REFUSED."""
    help: str

    def open(self, fd: int, size: int) -> Reader:
        """Check an image's header

        Raises:
            ProviderError: E-IMAGE-REFUSED
        """
        module = importlib.import_module(f"{__package__}.{self.name}")
        reader: Callable[[int, int], Reader] = getattr(module, self.reader)
        return reader(fd, size)


def refused(cause: str, remedy: str = "use an image from a source you trust") -> ProviderError:
    """E-IMAGE-REFUSED"""
    return ProviderError("E-IMAGE-REFUSED", cause, remedy)


def read_into(fd: int, into: memoryview, position: int) -> int:
    """Fill `into` from the file, zeros past its end; how many bytes the file had"""
    done = 0
    while done < len(into):
        count = os.preadv(fd, [into[done:]], position + done)
        if count == 0:
            into[done:] = bytes(len(into) - done)
            break
        done += count
    return done
