"""Small documents that an OS parameter names by URL (https, http, file) and the node fetches before anything is written

Fetched with root's rights for whoever may give parameters, so the rules are those for images (settings `image_urls`,
`image_folders`, `proxy`, `ca_file`, `http_headers`), and no error shows anything of what was found.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from helper_host.errors import ProviderError
from helper_host.ganeti.values import Invalid
from helper_host.http_failures import FetchError
from helper_host.log import printable

if TYPE_CHECKING:
    from helper_host.image.sources import Places
    from helper_host.log import Log

SCHEMES = ("https", "http")
FILE = re.compile(r"file:(?://(?:localhost)?)?(/(?!/).*)", re.IGNORECASE | re.DOTALL)
"""RFC 8089; another host than this one is none."""
FRAGMENT = re.compile(r"(sha256|sha512)[:=]([0-9A-Fa-f]+)", re.IGNORECASE)
LENGTHS = {"sha256": 64, "sha512": 128}
"""Hexadecimal digits of each checksum."""
URLS_MAX = 20
"""Of a list."""

Fail = Callable[[str, str, str], ProviderError]
"""Makes an error of where the document is, what about it, and what to do."""


class Document(NamedTuple):
    """Where a document is"""

    url: str
    """May hold user and password; "" for a file."""
    path: str = ""
    """An absolute path on this node."""
    algorithm: str = ""
    digest: str = ""
    """Of the checksum that it must have; "" for none."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shown})"

    @property
    def shown(self) -> str:
        """For people"""
        from helper_host import http

        return http.shown(self.url) if self.url else printable(self.path)


def parse(text: str, example: str, *, checksum: bool = False) -> Document:
    """What a parameter says; nothing is fetched

    Args:
        example: for an error
        checksum: `#sha256:HEX` behind the URL, also of a file, is the checksum of the content

    Raises:
        Invalid: with nothing of the value in it
    """
    from helper_host import http

    value, algorithm, digest = text.strip(), "", ""
    if checksum:
        value, hash_sign, fragment = value.partition("#")
        if hash_sign:
            algorithm, digest = _checksum(fragment, example)
    if match := FILE.fullmatch(value):
        path = unquote(match[1], errors="surrogateescape")
        if "\0" in path or ".." in path.split("/"):
            raise Invalid("is a file's URL with .. or NUL in its path", f"give for example {example}")
        return Document("", path, algorithm, digest)
    scheme, colon, rest = value.partition(":")
    url = f"{scheme.lower()}{colon}{rest}"
    try:
        http.parts(url, SCHEMES)
    except ValueError as error:
        raise Invalid(f"is a URL that {error}", f"give for example {example}") from None
    return Document(url, "", algorithm, digest)


def parse_all(text: str, example: str) -> tuple[Document, ...]:
    """`parse` for each word of a list, with a checksum behind it or not; each document once

    Raises:
        Invalid: with nothing of the value in it
    """
    found = tuple(dict.fromkeys(parse(word, example, checksum=True) for word in text.split()))
    if len(found) > URLS_MAX:
        raise Invalid(f"has more than {URLS_MAX} URLs", "give fewer")
    return found


def safe(source: Document, example: str) -> Document:
    """`source`, whose content is run as root: what comes without encryption has a checksum

    Raises:
        Invalid: it has none
    """
    if source.url.startswith("http:") and not source.digest:
        raise Invalid(
            "has an http URL without a checksum, so that anybody on the way could change what root runs",
            f"give an https URL, or append its checksum: {example}",
        )
    return source


def _checksum(fragment: str, example: str) -> tuple[str, str]:
    match = FRAGMENT.fullmatch(fragment)
    if match is None or len(match[2]) != LENGTHS[match[1].lower()]:
        raise Invalid(
            "is a URL whose checksum is neither sha256 with 64 nor sha512 with 128 hexadecimal digits",
            f"give for example {example}",
        )
    return match[1].lower(), match[2].lower()


def warn_of_http(name: str, source: Document, log: Log) -> None:
    """Whoever gives such a URL may not know what it means; a checksum makes it good"""
    if source.url.startswith("http:") and not source.digest:
        log.warning(f"{name} {source.shown} comes without encryption: anybody on the way can read and change it")


def content(source: Document, places: Places, *, limit: int, seconds: float, fail: Fail) -> bytes:
    """The document's bytes, checked against the checksum if one was given

    Args:
        limit: bytes
        seconds: for the whole download

    Raises:
        ProviderError: of `fail`
    """
    found = _fetched(source, places, limit, seconds, fail) if source.url else _file(source, places, limit, fail)
    if source.digest:
        digest = hashlib.new(source.algorithm, found).hexdigest()
        if not hmac.compare_digest(digest, source.digest):
            # what it has instead is not said: whoever gives the URL may not be allowed to see what the node sees there
            raise fail(
                source.shown,
                f"doesn't have the {source.algorithm} {source.digest}",
                "see whether somebody changed it; if it is what you want, give the new checksum",
            )
    return found


def _fetched(source: Document, places: Places, limit: int, seconds: float, fail: Fail) -> bytes:
    from helper_host import http
    from helper_host.image.sources import listed

    if not listed.allows(source.url, places):
        raise fail(
            source.shown,
            f"does not begin as URLs may on this node ({', '.join(places.urls)})",
            "take it from there, or add its beginning to image_urls in the settings",
        )
    try:
        return http.fetch(source.url, limit=limit, seconds=seconds, rules=places.rules, headers_by_host=places.headers)
    except FetchError as error:
        raise fail(source.shown, error.cause, error.remedy) from None


def _file(source: Document, places: Places, limit: int, fail: Fail) -> bytes:
    """A regular file in one of the folders that images may come from"""
    from helper_host.image.sources.base import open_regular

    path = os.path.normpath("/" + source.path.lstrip("/"))
    for folder in places.folders:
        prefix = os.path.normpath(folder).rstrip("/") + "/"
        if not path.startswith(prefix):
            continue
        try:
            with open_regular(folder, path[len(prefix) :], path) as file:
                size, found = file.size or 0, file.peek(limit)
        except FileNotFoundError:
            raise fail(path, "does not exist on this node", "look at its spelling") from None
        except ProviderError:
            raise fail(path, "can't be opened as a file", f"look at {path}") from None
        if size > limit:
            most = f"{limit >> 20} MiB" if limit >> 20 else f"{limit >> 10} KiB"
            raise fail(path, f"has more than {most}", "see whether this is the right file")
        return found
    raise fail(
        path,
        f"is not in a folder that it may come from ({', '.join(places.folders)})",
        "put it there, or add its folder to image_folders in the settings",
    )
