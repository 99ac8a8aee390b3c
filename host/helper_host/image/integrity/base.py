"""What a check of an image's file is: fed with its bytes in order, satisfied or not at the end"""

from __future__ import annotations

import threading
from typing import NamedTuple, Protocol

from helper_host.image.content import Piece


class Running(Protocol):
    """A check at work"""

    def update(self, data: Piece) -> None:
        """The next bytes"""
        ...

    def finish(self) -> None:
        """All bytes were given; raises ProviderError (E-IMAGE-CHECKSUM, E-IMAGE-SIGNATURE) where they aren't right"""
        ...

    def close(self) -> None:
        """Given up half-way, or finished: nothing may stay behind; harmless when repeated"""
        ...


class Check(Protocol):
    """What an image's file has to satisfy"""

    @property
    def name(self) -> str:
        """For the log, such as `sha256` or `signature`"""
        ...

    def start(self, cancel: threading.Event) -> Running:
        """Begin; what waits for others ends soon after `cancel` is set, with E-INTERRUPTED"""
        ...

    def known(self, sha256: str) -> bool:
        """Whether bytes with this SHA-256 satisfy it for sure; raises ProviderError if they surely don't"""
        ...


class Integrity(NamedTuple):
    """All that an image's file has to satisfy; see `integrity.resolve`"""

    checks: tuple[Check, ...] = ()
    sha256: str = ""
    """What the file must hash to in hexadecimal, where that is known beforehand: a cache can be asked for it."""


NOTHING = Integrity()
