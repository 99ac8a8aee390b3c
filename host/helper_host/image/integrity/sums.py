"""Lists of checksums, as sha256sum, sha512sum, shasum, sha256 of the BSDs and openssl print them

9f86d081...  name              GNU; or with ` *name`; a backslash before HEX says that the name is escaped
SHA256 (name) = 9f86d081...    BSD; openssl leaves blanks out
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.image.integrity.checksum import LENGTHS, Checksum
from helper_host.log import printable

LIMIT = 1 << 20
"""Most bytes of a list: those of Debian's and Ubuntu's image folders have some kilobytes."""
NAMES_SHOWN = 5
GNU = re.compile(rb"(\\?)([0-9A-Fa-f]{32,128})(?:  | \*|\t| )(.+)")
BSD = re.compile(rb"(\\?)([A-Za-z0-9/-]{2,16}) ?\((.+)\) ?= ?([0-9A-Fa-f]{32,128})")
DOTS = re.compile(rb"\A(?:\./+)*/*")
"""Before a name that is found from here; a line may be one of hundreds of thousands of them."""
TAGS = {b"SHA256": "sha256", b"SHA2-256": "sha256", b"SHA512": "sha512", b"SHA2-512": "sha512"}
ESCAPES = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}
"""Of coreutils: "a leading backslash ... and in the name backslash, newline and carriage return are escaped"."""


class Line(NamedTuple):
    """One file's checksum"""

    algorithm: str
    """sha256 or sha512, "" for one that isn't good enough."""
    digest: str
    """Lower-case hexadecimal."""
    name: str
    """As the list has it, unescaped, without ./ before it."""


def parse(content: bytes) -> list[Line]:
    """The lines of a list that are checksums; comments and whatever else is there are left out"""
    return [line for raw in content.split(b"\n") if (line := _parsed(raw.rstrip(b"\r"))) is not None]


def find(lines: Sequence[Line], image: str, shown: str) -> Checksum:
    """The image's checksum; SHA-256 where it has both, by which the download cache knows it

    Args:
        image: its path, or the path in its URL: lines with folders in their names fit where it ends with them
        shown: the list, for people

    Raises:
        ProviderError: E-IMAGE-CHECKSUM
    """
    wanted = image.rpartition("/")[2]
    if not lines:
        raise _error(
            f"{shown} is not a list of checksums", "give one that sha256sum or sha512sum made: sha256sum * >SHA256SUMS"
        )
    fitting = [line for line in lines if f"/{image.lstrip('/')}".endswith(f"/{line.name}")]
    good = [line for line in fitting if line.algorithm]
    if not good:
        if fitting:
            raise _error(
                f"{shown} has a checksum for {printable(wanted)}, but neither its sha256 nor its sha512",
                "give a list that sha256sum or sha512sum made",
            )
        raise _error(
            f"{shown} has no checksum for {printable(wanted) or 'a file without a name'}, only for {_some(lines)}",
            "see whether the list is the one for this image, and the image's name is right",
        )
    for algorithm in LENGTHS:
        digests = {line.digest for line in good if line.algorithm == algorithm}
        if len(digests) > 1:
            raise _error(
                f"{shown} has {len(digests)} different {algorithm} checksums for {printable(wanted)}",
                "correct the list, or give the checksum itself",
            )
    best = min(good, key=lambda line: line.algorithm)
    return Checksum(best.algorithm, best.digest, shown)


def _parsed(raw: bytes) -> Line | None:
    if match := GNU.fullmatch(raw):
        escaped, digest, name = match.groups()
        algorithm = {length: algorithm for algorithm, length in LENGTHS.items()}.get(len(digest), "")
    elif match := BSD.fullmatch(raw):
        escaped, tag, name, digest = match.groups()
        algorithm = TAGS.get(tag.upper(), "")
        if algorithm and len(digest) != LENGTHS[algorithm]:
            return None
    else:
        return None
    if escaped:
        name = re.sub(rb"\\[\\nr]", lambda found: ESCAPES[found[0]], name)
    return Line(algorithm, digest.decode().lower(), os.fsdecode(_without_dots(name)))


def _without_dots(name: bytes) -> bytes:
    return DOTS.sub(b"", name)


def _some(lines: Sequence[Line]) -> str:
    names = list(dict.fromkeys(line.name for line in lines))
    shown = ", ".join(printable(name)[:80] for name in names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN} others"


def _error(cause: str, remedy: str) -> ProviderError:
    return ProviderError("E-IMAGE-CHECKSUM", cause, remedy)
