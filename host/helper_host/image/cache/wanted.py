"""What somebody wants to have from a URL"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.http_failures import FetchError

if TYPE_CHECKING:
    from helper_host.image.content import Content
    from helper_host.image.integrity.base import Integrity
    from helper_host.image.sources.base import Places
    from helper_host.transfer import Transfer

# sources and transfers are imported when they are needed: the sources import this package


class Wanted(NamedTuple):
    """A URL, the way to it, and what its bytes must satisfy"""

    url: str
    places: Places
    integrity: Integrity

    @property
    def shown(self) -> str:
        """The URL for people"""
        return http.shown(self.url)

    @property
    def file_name(self) -> str:
        """The last part of its path"""
        from helper_host.image.sources import web

        return web.file_name(self.url)

    @property
    def checked(self) -> bool:
        """Whether somebody looks at the bytes afterwards"""
        return bool(self.integrity.checks)

    def transfer(self, cancel: threading.Event) -> Transfer:
        """A download of it"""
        from helper_host.transfer import Transfer

        places = self.places
        return Transfer(self.url, places.rules, places.headers, cancel, checked=self.checked, notice=places.warn)

    def direct(self, why: str) -> Content:
        """A download that isn't kept, which the log is told; E-IMAGE-FETCH"""
        from helper_host.image.sources.web import DirectContent

        self.places.warn(f"{self.shown} is not kept in the cache: {why}")
        return DirectContent(*self)

    def failed(self, cause: str, remedy: str) -> ProviderError:
        """E-IMAGE-FETCH"""
        from helper_host.image.sources import web

        return web.failed(self.url, FetchError(cause, remedy))

    def replaced(self) -> ProviderError:
        """E-IMAGE-FETCH for bytes of two files"""
        from helper_host.image.sources import web

        return web.replaced(self.url)
