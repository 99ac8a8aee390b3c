"""Large downloads: what a server says of a file, and the file's bytes as they come, through broken connections"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import NamedTuple

from helper_host import http
from helper_host.http import FetchError, Rules


class Validators(NamedTuple):
    """By what a server tells one state of a file from another (RFC 9110 section 8.8), as it said them; "" for none"""

    etag: str = ""
    last_modified: str = ""


class Facts(NamedTuple):
    """What a server says of a file"""

    shown: str
    """Its URL for people."""
    size: int | None
    """Bytes of all of it; None: it doesn't say."""
    validators: Validators = Validators()
    not_modified: bool = False
    """It is as the `condition` has it, and there are no blocks."""


class Changed(Exception):
    """The server has another file now than the one whose first bytes were had"""


class Transfer:
    """A download of one file; a context manager, or `close()`

    Args:
        url: http or https, as `rules` allow
        headers_by_host: sent to just these hosts, also when a redirect leads there
        cancel: everything here ends within a second of it
        checked: the bytes are checked by a checksum or a signature afterwards: a redirect from https to http, and a
            body whose end can't be told from a broken connection, will do
    """

    def __init__(
        self,
        url: str,
        rules: Rules,
        headers_by_host: Mapping[str, Mapping[str, str]],
        cancel: threading.Event,
        *,
        checked: bool = False,
    ) -> None:
        self._url, self._rules, self._headers, self._cancel = url, rules, headers_by_host, cancel
        self._checked = checked
        self._stack = ExitStack()
        self._body: http.Body | None = None

    def __enter__(self) -> Transfer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(
        self, *, condition: Validators | None = None, position: int = 0, validators: Validators | None = None
    ) -> Facts:
        """Ask for the file; once

        Args:
            condition: bytes are only wanted if they aren't these
            position: bytes that are there already, of what had these `validators`

        Raises:
            FetchError: it can't be had
            Changed: the server has other bytes now than the ones that are there
        """
        body = self._stack.enter_context(http.get(self._url, self._rules))
        self._body = body
        return Facts(http.shown(self._url), body.length)

    def blocks(self) -> Iterator[bytes]:
        """The bytes from `position` on, to the end of the file; once

        Raises:
            FetchError: it broke off for good
            Changed: the server has other bytes now
        """
        assert self._body is not None
        yield from self._body.blocks()

    def close(self) -> None:
        """Close the connection; harmless when repeated"""
        self._stack.close()


__all__ = ["Changed", "Facts", "FetchError", "Transfer", "Validators"]
