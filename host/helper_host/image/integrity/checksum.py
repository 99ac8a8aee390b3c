"""Checksums of an image's file: `sha256:HEX` or `sha512:HEX`"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.ganeti.values import Invalid
from helper_host.image.content import Piece

LENGTHS = {"sha256": 64, "sha512": 128}
"""Hexadecimal digits of each algorithm."""
REMEDY = "give sha256: and 64 hexadecimal digits, or sha512: and 128 (sha256sum FILE prints them)"
PARAMETER = "image_checksum"


class Checksum(NamedTuple):
    """What a file's bytes must hash to; an `integrity.base.Check`"""

    algorithm: str
    digest: str
    """Lower-case hexadecimal."""
    said_by: str = PARAMETER
    """The parameter, or for people the list that it is from."""

    @property
    def name(self) -> str:
        """For the log"""
        return self.algorithm

    def start(self, cancel: threading.Event) -> Hashing:  # noqa: ARG002  it waits for nothing
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
            verb = "is" if self.said_by == PARAMETER else "says"
            raise ProviderError(
                "E-IMAGE-CHECKSUM",
                f"The image's {self.algorithm} is {digest}, {self.said_by} {verb} {self.digest}",
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


def is_one(text: str) -> bool:
    """Whether it is meant to be one, and not a URL, a path or a name"""
    return re.match(r"\s*[A-Za-z0-9-]*:(?!//)", text) is not None


def parse(text: str) -> Checksum:
    """`ALGORITHM:HEX`, in upper or lower case

    Raises:
        Invalid: with nothing of the value in it, which may be a URL that was mistyped
    """
    algorithm, _, digest = text.strip().lower().partition(":")
    length = LENGTHS.get(algorithm)
    if length is None or not re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
        raise Invalid("is not a checksum", REMEDY)
    return Checksum(algorithm, digest)
