"""What surrounds an image that is one bare filesystem: a partition table before it, and perhaps one behind it"""

from __future__ import annotations

from typing import Protocol


class Frame(Protocol):
    """Makes a whole disk of a filesystem"""

    name: str
    """For people: msdos or gpt."""
    offset: int
    """Bytes before the filesystem."""

    def head(self, size: int) -> bytes:
        """The first `offset` bytes of the disk, for a filesystem of `size` bytes (a multiple of 512)

        Raises:
            ProviderError: E-IMAGE-REFUSED for a size that the table can't hold
        """
        ...

    def tail(self, size: int) -> bytes:
        """What follows the filesystem, a multiple of 512 bytes; b"" for nothing"""
        ...
