"""Checksums of an image's file: `sha256:HEX` or `sha512:HEX`"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.image.content import Piece

LENGTHS = {"sha256": 64, "sha512": 128}
"""Hexadecimal digits of each algorithm."""


class Checksum(NamedTuple):
    """What a file's bytes must hash to; an `integrity.base.Check`"""

    algorithm: str
    digest: str
    """Lower-case hexadecimal."""

    @property
    def name(self) -> str:
        """For the log"""
        return self.algorithm

    def start(self) -> Hashing:
        """Begin to hash"""
        return Hashing(self)

    def known(self, sha256: str) -> bool:
        """Whether bytes with this SHA-256 are the right ones; E-IMAGE-CHECKSUM when they aren't"""
        if self.algorithm != "sha256":
            return False
        self.check(sha256)
        return True

    def check(self, digest: str) -> None:
        """Compare; E-IMAGE-CHECKSUM when they differ"""
        if not hmac.compare_digest(self.digest, digest.lower()):
            raise ProviderError(
                "E-IMAGE-CHECKSUM",
                f"The image's {self.algorithm} is {digest}, image_checksum is {self.digest}",
                "look whether the image's download was complete, or whether somebody changed it",
            )


class Hashing:
    """A hash at work"""

    def __init__(self, checksum: Checksum) -> None:
        self._checksum = checksum
        self._hash = hashlib.new(checksum.algorithm)

    def update(self, data: Piece) -> None:
        """The next bytes"""
        self._hash.update(data)

    def finish(self) -> None:
        """E-IMAGE-CHECKSUM when the bytes were others"""
        self._checksum.check(self._hash.hexdigest())

    def close(self) -> None:
        """Nothing to free"""


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
