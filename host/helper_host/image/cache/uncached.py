"""A download that is used as it comes, and kept nowhere"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from helper_host.answers import Validators
from helper_host.errors import ProviderError
from helper_host.image.cache.spool import spool
from helper_host.image.cache.wanted import Wanted
from helper_host.image.content import Content, Piece, Progress

LOOK_SECONDS = 0.1


class Uncached(Content):
    """All of a URL's file, from its server to whoever takes the bytes

    Raises:
        ProviderError: E-IMAGE-FETCH, E-INTERRUPTED
    """

    def __init__(self, wanted: Wanted) -> None:
        from helper_host.transfer import FetchError

        self._wanted = wanted
        self._cancel = threading.Event()
        self.name, self.file_name = wanted.shown, wanted.file_name
        self._transfer = wanted.transfer(self._cancel)
        try:
            self.size = self._transfer.open().size
        except FetchError as error:
            raise wanted.failure(error) from None
        self._blocks = self._transfer.blocks()
        self._head: list[bytes] = []
        self._fd = -1

    def peek(self, length: int) -> bytes:
        while sum(map(len, self._head)) < length and (block := self._next()):
            self._head.append(block)
        return b"".join(self._head)[:length]

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        with linked(cancel, self._cancel):
            while self._head:
                yield self._head.pop(0)
            while block := self._next():
                yield block

    def whole(self, progress: Progress, cancel: threading.Event) -> int:
        if self._fd < 0:
            self._fd = spool(
                self.pieces(cancel), self._wanted.places.cache, self.name, progress, cancel, total=self.size or 0
            )
        return self._fd

    def close(self) -> None:
        self._cancel.set()
        self._transfer.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _next(self) -> bytes:
        from helper_host.transfer import Changed, FetchError

        try:
            return next(self._blocks, b"")
        except FetchError as error:
            raise self._wanted.failure(error) from None
        except Changed:
            raise changed(self._wanted) from None


def rest(
    wanted: Wanted, position: int, validators: Validators, cancel: threading.Event
) -> Generator[bytes, None, None]:
    """The bytes from `position` on of a file of which the first ones were had, with these validators

    Raises:
        ProviderError: E-IMAGE-FETCH, also when the server has another file now; E-INTERRUPTED
    """
    from helper_host.transfer import Changed, FetchError

    try:
        with wanted.transfer(cancel) as transfer:
            transfer.open(position=position, validators=validators)
            yield from transfer.blocks()
    except FetchError as error:
        raise wanted.failure(error) from None
    except Changed:
        raise changed(wanted) from None


def changed(wanted: Wanted) -> ProviderError:
    """E-IMAGE-FETCH for bytes of two files"""
    return ProviderError(
        "E-IMAGE-FETCH",
        f"{wanted.shown} was replaced on its server while it was fetched",
        "run it again; replace images by renaming a complete new file over the old one",
    )


@contextmanager
def linked(cancel: threading.Event, other: threading.Event) -> Iterator[None]:
    """`other` is set soon after `cancel` is"""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            if cancel.is_set():
                other.set()
                return

    thread = threading.Thread(target=watch, name="cancel", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
