"""What somebody wants to have from a URL"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.image.integrity.base import Integrity

if TYPE_CHECKING:
    from helper_host.image.sources.base import Places
    from helper_host.transfer import FetchError, Transfer


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
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def checked(self) -> bool:
        """Whether somebody looks at the bytes afterwards"""
        return bool(self.integrity.checks)

    def transfer(self, cancel: threading.Event) -> Transfer:
        """A download of it"""
        from helper_host.transfer import Transfer

        places = self.places
        return Transfer(self.url, places.rules, places.headers, cancel, checked=self.checked, notice=places.warn)

    def failure(self, error: FetchError) -> ProviderError:
        """E-IMAGE-FETCH"""
        return ProviderError("E-IMAGE-FETCH", f"{self.shown} {error.cause}", error.remedy)
