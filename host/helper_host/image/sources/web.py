"""http:// and https://"""

from __future__ import annotations

import posixpath
import re
import threading
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.http_failures import FetchError
from helper_host.image.content import Content
from helper_host.image.integrity.base import Integrity
from helper_host.image.sources import listed
from helper_host.image.sources.base import Places, Source, bad
from helper_host.image.sources.streamed import Streamed
from helper_host.log import printable

SCHEMES = ("https", "http")
BEGINNING = re.compile("https?://", re.IGNORECASE)


def check(reference: str) -> None:
    """The URL's syntax"""
    try:
        split = http.parts(reference, SCHEMES)
    except ValueError as error:
        raise bad(reference, str(error)) from None
    if listed.has_dots(split.path):
        raise bad(reference, "has . or .. as a part of its path")


def open_url(reference: str, places: Places, integrity: Integrity) -> Content:
    """The download, which has begun

    Raises:
        ProviderError: E-PARAMETER, E-IMAGE-MISSING it isn't on the list, E-IMAGE-FETCH
    """
    check(reference)
    listed.check(reference, places)
    if urlsplit(reference).scheme == "http" and not integrity.checks:
        places.warn(
            f"{http.shown(reference)} comes without encryption and without a checksum or signature:"
            " anybody on the way can replace it"
        )
    if places.cache.size:
        from helper_host.image.cache.download import open_download

        return open_download(reference, places, integrity)
    return DirectContent(reference, places, integrity)


def file_name(url: str) -> str:
    """The last part of its path"""
    return printable(posixpath.basename(unquote(urlsplit(url).path)))


def failed(url: str, error: FetchError) -> ProviderError:
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
            if isinstance(error, FetchError):
                raise failed(url, error) from None
            raise

    def _blocks(self) -> Iterator[bytes]:
        from helper_host.transfer import Changed

        blocks = self._transfer.blocks()
        while True:
            self._transfer.cancel = self._cancel
            try:
                block = next(blocks, b"")
            except FetchError as error:
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
