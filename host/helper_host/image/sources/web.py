"""http:// and https://

The settings may list the beginnings of URLs that images may come from. What is compared is the URL in its one plain
form, without any `..` in it. A listed server may redirect to elsewhere, as mirrors and stores of objects do: the list
says whose word it is what an image is, so servers belong on it that don't redirect to wherever they are asked to.
"""

from __future__ import annotations

import posixpath
import re
import threading
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.image.content import Content
from helper_host.image.integrity.base import Integrity
from helper_host.image.sources.base import Places, Source, bad
from helper_host.image.sources.streamed import Streamed
from helper_host.log import printable

SCHEMES = ("https", "http")
BEGINNING = re.compile("https?://", re.IGNORECASE)
ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
UNRESERVED = re.compile("[A-Za-z0-9._~-]")
"""RFC 3986 section 2.3: escaped or not, they mean the same."""


def check(reference: str) -> None:
    """The URL's syntax"""
    try:
        split = http.parts(reference, SCHEMES)
    except ValueError as error:
        raise bad(reference, str(error)) from None
    # decoded as often as some server on the way might
    if any(part in (".", "..") for part in re.split(r"[/\\]", unquote(unquote(split.path)))):
        raise bad(reference, "has . or .. as a part of its path")


def normal(split: SplitResult) -> str:
    """The URL in one form (RFC 3986 section 6.2.2): no user, no default port, nothing escaped that needn't be"""

    def plain(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if UNRESERVED.fullmatch(character) else match[0].upper()

    host = (split.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = "" if split.port in (None, http.PORTS.get(split.scheme)) else f":{split.port}"
    return f"{split.scheme}://{host}{port}{ESCAPE.sub(plain, split.path) or '/'}"


def open_url(reference: str, places: Places, integrity: Integrity) -> Content:
    """The download, which has begun

    Raises:
        ProviderError: E-PARAMETER, E-IMAGE-MISSING it isn't on the list, E-IMAGE-FETCH
    """
    check(reference)
    _check_listed(reference, places)
    if urlsplit(reference).scheme == "http" and not integrity.checks:
        places.warn(
            f"{http.shown(reference)} comes without encryption and without a checksum or signature:"
            " anybody on the way can replace it"
        )
    if places.cache.size:
        from helper_host.image.cache.download import open_download

        return open_download(reference, places, integrity)
    return DirectContent(reference, places, integrity)


def _check_listed(reference: str, places: Places) -> None:
    if not places.urls:
        return
    url = normal(urlsplit(reference))
    if not any(url.startswith(normal(urlsplit(listed))) for listed in places.urls):
        raise ProviderError(
            "E-IMAGE-MISSING",
            f"image={http.shown(reference)} does not begin as images may on this node ({', '.join(places.urls)})",
            "take it from there, or add its beginning to image_urls in the settings",
        )


def file_name(url: str) -> str:
    """The last part of its path"""
    return printable(posixpath.basename(unquote(urlsplit(url).path)))


def failed(url: str, error: http.FetchError) -> ProviderError:
    """E-IMAGE-FETCH"""
    return ProviderError("E-IMAGE-FETCH", f"The image {http.shown(url)} {error.cause}", error.remedy)


def replaced(url: str) -> ProviderError:
    """E-IMAGE-FETCH for a file that is another one than a moment ago"""
    return ProviderError(
        "E-IMAGE-FETCH", f"The image {http.shown(url)} was replaced on its server meanwhile", "start it again"
    )


class DirectContent(Streamed):
    """A download that is not kept

    Raises:
        ProviderError: E-IMAGE-FETCH
    """

    def __init__(self, url: str, places: Places, integrity: Integrity) -> None:
        from helper_host.transfer import Transfer

        super().__init__(http.shown(url), file_name(url), places.cache)
        self._url = url
        self._transfer = Transfer(
            url,
            places.rules,
            places.headers,
            threading.Event(),
            checked=bool(integrity.checks),
            notice=places.warn,
        )
        try:
            self.size = self._transfer.open().size
        except BaseException as error:
            self._transfer.close()
            if isinstance(error, http.FetchError):
                raise failed(url, error) from None
            raise

    def _blocks(self) -> Iterator[bytes]:
        from helper_host.transfer import Changed

        blocks = self._transfer.blocks()
        while True:
            self._transfer.cancel = self._cancel
            try:
                block = next(blocks, b"")
            except http.FetchError as error:
                raise failed(self._url, error) from None
            except Changed:
                raise replaced(self._url) from None
            if not block:
                return
            yield block

    def _stop(self) -> None:
        self._transfer.close()


SOURCE = Source(
    name="web",
    matches=lambda reference: BEGINNING.match(reference) is not None,
    check=check,
    open=open_url,
    help="an https:// or http:// URL",
)
