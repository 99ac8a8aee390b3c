"""What a server's answer to the question for a file, or for the rest of one, is worth (RFC 9110)"""

from __future__ import annotations

import re
from typing import NamedTuple

from helper_host.http import Body, Headers
from helper_host.http_failures import FetchError

ODD = "look at the server, or get the file from another one"
CONTENT_RANGE = re.compile(r"bytes\s+(?:([0-9]{1,19})-([0-9]{1,19})|\*)/([0-9]{1,19}|\*)", re.ASCII | re.IGNORECASE)
LENGTH = re.compile(r"[0-9]{1,19}", re.ASCII)
ENCODINGS = ("", "identity", "gzip", "x-gzip", "bzip2", "x-bzip2", "xz", "x-xz", "zstd")
"""Servers call files so that are compressed on their disks; what unpacks them knows them by their first bytes. A server
that compresses on the way although it was asked not to is understood by that too, only a checksum then doesn't hold."""
VALIDATOR_MAX = 500


class Changed(Exception):
    """The server has another file now than the one whose first bytes were had, or nobody can tell"""


class Validators(NamedTuple):
    """By what a server tells one state of a file from another (RFC 9110 section 8.8), as it said them; "" for none"""

    etag: str = ""
    last_modified: str = ""

    def for_range(self) -> str:
        """What stands in If-Range; "" if a continued download can't be safe: a weak ETag may stand for other bytes"""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified

    def as_condition(self) -> dict[str, str]:
        """Headers by which a server says whether it has other bytes"""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}

    def contradict(self, other: Validators) -> bool:
        """Whether they can't be those of the same bytes"""
        return any(one and two and one != two for one, two in zip(self, other, strict=True))


class Answered(NamedTuple):
    """A file, and what of it a body holds"""

    size: int | None
    """Bytes of the whole file."""
    validators: Validators
    start: int = 0
    """Where in the file the body begins ..."""
    until: int | None = None
    """... and ends; None: where the file does."""
    has_end: bool = True
    """The end of the body differs from a broken connection."""
    not_modified: bool = False
    ended: bool = False
    """There is nothing to read."""
    told: bool = False
    """Whoever asked knows of it."""


def judge(body: Body, known: Answered | None, position: int, *, conditional: bool) -> Answered:
    """What `body` holds

    Args:
        known: what was said of the file before
        position: bytes of it that are there; the rest was asked for
        conditional: it was asked whether it has changed

    Raises:
        FetchError: no answer to that question
        Changed
    """
    validators = _validators(body.headers)
    if body.status == 304:
        if not conditional or known is not None:
            raise FetchError("can't be had: the server says 304 though it wasn't asked that", ODD)
        return Answered(None, validators, not_modified=True, ended=True)
    if body.status == 416:
        return _beyond(body.headers, known, position)
    if encoding_refused(body.headers):
        raise FetchError("comes in an encoding that wasn't asked for (Content-Encoding)", ODD)
    answered = _part(body.headers, position) if body.status == 206 else _all(body.headers)
    answered = answered._replace(validators=validators)
    if known is None:
        return answered
    _check_same(answered, known, position)
    size = known.size if answered.size is None else answered.size
    return answered._replace(size=size, has_end=answered.has_end or size is not None)


def encoding_refused(headers: Headers) -> bool:
    """Whether the bytes are packed in a way that we don't unpack"""
    return headers.get("Content-Encoding", "").strip().lower() not in ENCODINGS


def _all(headers: Headers) -> Answered:
    if chunked(headers):
        return Answered(None, Validators())  # RFC 9112 section 6.3: a Content-Length beside it is none
    length = _length(headers)
    return Answered(length, Validators(), has_end=length is not None)


def _part(headers: Headers, position: int) -> Answered:
    match = CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None or match[1] is None or not position:
        raise FetchError("can't be had: the server answers with a part that wasn't asked for", ODD)
    start, end = int(match[1]), int(match[2]) + 1
    size = None if match[3] == "*" else int(match[3])
    length = None if chunked(headers) else _length(headers)
    if start != position or end <= start or (size is not None and end > size):
        raise FetchError("can't be had: the server answers with another part than was asked for", ODD)
    if length is not None and length != end - start:
        raise FetchError("can't be had: what the server says of its length is contradictory", ODD)
    # without a total nobody knows whether there is more
    return Answered(
        size, Validators(), start, end, has_end=size is not None and (length is not None or chunked(headers))
    )


def _beyond(headers: Headers, known: Answered | None, position: int) -> Answered:
    """416: there is nothing from there on, which is so where all was had before"""
    match = CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if known is None or not position:
        raise FetchError("can't be had: the server says 416 though all was asked for", ODD)
    if match is None or match[3] == "*" or int(match[3]) != position or known.size not in (None, position):
        raise Changed
    return Answered(position, known.validators, position, position, ended=True)


def _check_same(answered: Answered, known: Answered, position: int) -> None:
    sizes = {size for size in (answered.size, known.size) if size is not None}
    if len(sizes) > 1 or answered.validators.contradict(known.validators):
        raise Changed
    # the server has started again; is it the same? Where nothing was had yet, it doesn't matter
    if position > answered.start and answered.validators.for_range() != known.validators.for_range():
        raise Changed
    if answered.size is not None and position > answered.size:
        raise Changed


def _validators(headers: Headers) -> Validators:
    values = (headers.get(name, "").strip() for name in ("ETag", "Last-Modified"))
    etag, last_modified = (
        value if len(value) <= VALIDATOR_MAX and value.isascii() and value.isprintable() else "" for value in values
    )
    return Validators(etag, last_modified if _settled(last_modified, headers.get("Date", "")) else "")


def _settled(last_modified: str, date: str) -> bool:
    """Whether a date tells states of a file apart: it was not changed in the very second in which it was sent

    RFC 9110 section 8.8.2.2; a server that doesn't say what time it is may mean any.
    """
    from email.utils import parsedate_to_datetime

    try:
        return (parsedate_to_datetime(date) - parsedate_to_datetime(last_modified)).total_seconds() >= 1
    except (TypeError, ValueError, OverflowError):
        return False


def chunked(headers: Headers) -> bool:
    """Whether the body says itself where it ends"""
    return headers.get("Transfer-Encoding", "").strip().lower() == "chunked"


def _length(headers: Headers) -> int | None:
    """Content-Length; None where there is none

    Raises:
        FetchError: it is no number, or several
    """
    text = headers.get("Content-Length")
    if text is None:
        return None
    values = {value.strip() for value in text.split(",")}
    value = values.pop()
    if values or not LENGTH.fullmatch(value):
        raise FetchError("can't be had: the server says a length that is none", ODD)
    return int(value)
