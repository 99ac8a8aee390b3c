"""Checksums of an image's file: `sha256:HEX` or `sha512:HEX`"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.image.formats.base import read_into
from helper_host.image.formats.raw import RawReader

LENGTHS = {"sha256": 64, "sha512": 128}
"""Hexadecimal digits of each algorithm."""
CHUNK = 1 << 20

Progress = Callable[[int, int], None]


class Checksum(NamedTuple):
    """What a file's bytes must hash to"""

    algorithm: str
    digest: str
    """Lower-case hexadecimal."""

    def check(self, digest: str) -> None:
        """Compare; E-IMAGE-CHECKSUM when they differ"""
        if not hmac.compare_digest(self.digest, digest.lower()):
            raise ProviderError(
                "E-IMAGE-CHECKSUM",
                f"The image's {self.algorithm} is {digest}, image_checksum is {self.digest}",
                "look whether the image's download was complete, or whether somebody changed it",
            )


def parse(text: str) -> Checksum:
    """`ALGORITHM:HEX`, in upper or lower case

    Raises:
        ProviderError: E-PARAMETER
    """
    algorithm, _, digest = text.strip().lower().partition(":")
    length = LENGTHS.get(algorithm)
    if length is None or not re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
        raise ProviderError(
            "E-PARAMETER",
            f"image_checksum={text[:160]} is not a checksum",
            "give sha256: and 64 hexadecimal digits, or sha512: and 128 (sha256sum FILE prints them)",
        )
    return Checksum(algorithm, digest)


def digest(fd: int, size: int, algorithm: str, progress: Progress, cancel: threading.Event) -> str:
    """The hash of the file's `size` bytes, in hexadecimal; holes are hashed without being read

    Raises:
        ProviderError: E-INTERRUPTED when `cancel` is set, E-IMAGE-REFUSED when the file got shorter
    """
    result = hashlib.new(algorithm)
    buffer = memoryview(bytearray(CHUNK))
    zeros = memoryview(bytes(CHUNK))
    for extent in RawReader(fd, size).extents():
        end = min(extent.offset + extent.length, size)
        for offset in range(extent.offset, end, CHUNK):
            if cancel.is_set():
                raise interrupted()
            length = min(CHUNK, end - offset)
            if extent.source is None:
                result.update(zeros[:length])
            else:
                read_into(fd, buffer[:length], offset)
                result.update(buffer[:length])
            progress(offset + length, size)
    return result.hexdigest()


def interrupted() -> ProviderError:
    """E-INTERRUPTED"""
    return ProviderError("E-INTERRUPTED", "The deployment was interrupted", "start it again")
