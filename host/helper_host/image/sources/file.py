"""file:// and a path: the same as the path (RFC 8089)"""

from __future__ import annotations

import re
from urllib.parse import unquote

from helper_host.image.content import FileContent
from helper_host.image.integrity.base import Integrity
from helper_host.image.sources import path
from helper_host.image.sources.base import Places, Source, bad

URL = re.compile(r"file:(?:(?://(?:localhost)?)(?=/)|(?!//))(/.*)", re.IGNORECASE | re.DOTALL)


def _path(reference: str) -> str:
    match = URL.fullmatch(reference)
    if match is None:
        raise bad(reference, "is not file:// and an absolute path on this node, such as file:///srv/images/debian.raw")
    return unquote(match[1], errors="surrogateescape")


def check(reference: str) -> None:
    """The path's syntax"""
    path.check(_path(reference))


def open_file(reference: str, places: Places, integrity: Integrity) -> FileContent:
    """The file, if an allowed folder holds it"""
    return path.open_path(_path(reference), places, integrity)


SOURCE = Source(
    name="file",
    matches=lambda reference: reference[:5].lower() == "file:",
    check=check,
    open=open_file,
    help="file:// and such a path",
)
