"""Large downloads from a real server, through what servers and networks do to them"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helper_host import transfer as module
from helper_host.errors import ProviderError
from helper_host.http import Rules
from helper_host.http_failures import FetchError
from helper_host.transfer import Changed, Facts, Patience, Transfer, Validators
from tests.host import web

SECRET = "canary-5b07"
SIZE = 3_000_000
QUICK = Patience(tries=4, first=0.01, longest=0.05, asked=1.0)
MODIFIED = "Sat, 01 Nov 2025 10:00:00 GMT"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def body() -> bytes:
    return random.Random(4).randbytes(SIZE)


@pytest.fixture(params=["https", "http"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[web.Server]:
    with web.serving(tmp_path / "server", tls=request.param == "https") as server:
        yield server


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[web.Server]:
    with web.serving(tmp_path / "plain", tls=False) as server:
        yield server


class Got:
    """A download, as far as it came"""

    def __init__(self, server: web.Server, path: str = "/file", **options: Any) -> None:
        rules = {"schemes": ("https", "http"), "ca_file": str(server.ca_file) if server.ca_file.exists() else ""}
        opening = {name: options.pop(name) for name in ("condition", "position", "validators") if name in options}
        headers = options.pop("headers", {})
        checked = options.pop("checked", False)
        patience = options.pop("patience", QUICK)
        self.cancel: threading.Event = options.pop("cancel", threading.Event())
        self.notices: list[str] = []
        self.bytes = b""
        self.facts: Facts | None = None
        self.error: Exception | None = None
        self.largest = 0
        host = server.origin.partition("://")[2]
        url = f"{server.origin.partition('://')[0]}://me:{SECRET}@{host}{path}"
        parts = []
        since = time.monotonic()
        with Transfer(
            url,
            Rules(**(rules | options)),
            headers,
            self.cancel,
            checked=checked,
            notice=self.notices.append,
            patience=patience,
        ) as transfer:
            try:
                self.facts = transfer.open(**opening)
                for block in transfer.blocks():
                    parts.append(block)
                    self.largest = max(self.largest, len(block))
            except (FetchError, Changed, ProviderError) as error:
                self.error = error
        self.seconds = time.monotonic() - since
        self.bytes = b"".join(parts)
        assert (
            SECRET not in f"{self.error} {self.error!r} {getattr(self.error, 'cause', '')} {self.notices} {self.facts}"
        )

    @property
    def cause(self) -> str:
        assert isinstance(self.error, FetchError), self.error
        assert self.error.remedy
        return self.error.cause


def served(server: web.Server, body: bytes, **options: Any) -> web.File:
    file = web.File(body, **options)
    server.answers["/file"] = file
    return file


# --- what servers say -------------------------------------------------------------------------------------------------


def test_all_of_a_file(server: web.Server, body: bytes) -> None:
    served(server, body, modified=MODIFIED)
    got = Got(server)
    assert got.error is None
    assert got.bytes == body
    assert got.facts == Facts(server.url("/file"), SIZE, Validators('"one"', MODIFIED))
    assert got.largest > 1 << 18
    assert server.calls[0].header("Accept-Encoding") == "identity"
    assert (got.notices, len(server.calls)) == ([], 1)


def test_names_of_headers_in_lower_case(server: web.Server, body: bytes) -> None:
    file = served(server, body, etag='"one"')
    file.lower = True
    file.cuts = {0: 1_000_000}
    got = Got(server)
    assert got.bytes == body
    assert got.facts is not None and (got.facts.size, got.facts.validators.etag) == (SIZE, '"one"')


def test_a_file_in_chunks(server: web.Server, body: bytes) -> None:
    served(server, body).chunk = 50_001
    got = Got(server)
    assert got.bytes == body
    assert got.facts is not None and got.facts.size is None


def test_an_empty_file(server: web.Server) -> None:
    served(server, b"")
    got = Got(server)
    assert (got.bytes, got.error) == (b"", None)
    assert got.facts is not None and got.facts.size == 0


def test_a_size_of_more_than_32_bits(plain: web.Server) -> None:
    """5 GiB are announced; the rest is asked for from there on"""
    size, position = 5 << 30, (5 << 30) - 7

    def answer(call: web.Call) -> None:
        head = f'Content-Range: bytes {position}-{size - 1}/{size}\r\nETag: "one"\r\nContent-Length: 7\r\n'
        call.say(f"HTTP/1.1 206 Partial Content\r\n{head}\r\nlast by".encode())

    plain.answers["/file"] = answer
    got = Got(plain, position=position, validators=Validators('"one"'))
    assert (got.bytes, got.error) == (b"last by", None)
    assert got.facts is not None and got.facts.size == size
    assert plain.calls[0].header("Range") == f"bytes={position}-"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "identity"])
def test_what_a_server_calls_compressed_comes_as_it_is(plain: web.Server, encoding: str) -> None:
    served(plain, b"\x1f\x8b and so on").extra = f"Content-Encoding: {encoding}\r\n"
    assert Got(plain).bytes == b"\x1f\x8b and so on"


def test_an_encoding_that_nobody_here_unpacks(plain: web.Server) -> None:
    served(plain, b"packed").extra = "Content-Encoding: br\r\n"
    got = Got(plain)
    assert "encoding that wasn't asked for" in got.cause
    assert (got.bytes, len(plain.calls)) == (b"", 1)


def test_a_body_without_an_end(server: web.Server, body: bytes) -> None:
    """A connection that breaks looks the same, so somebody must check the bytes"""
    served(server, body).open_ended = True
    got = Got(server)
    assert "without a length" in got.cause
    assert got.bytes == b""
    assert Got(server, checked=True).bytes == body


@pytest.mark.parametrize("length", ["x", "-5", "5, 6", "0x5", "", "9" * 40, "+5", "5.0"])
def test_a_length_that_is_none(plain: web.Server, length: str) -> None:
    plain.answers["/file"] = lambda call: call.say(
        f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\nCANARY".encode()
    )
    got = Got(plain, checked=True)
    assert "length" in got.cause or "broke off" in got.cause
    assert got.bytes == b""


def test_a_length_that_is_said_twice(plain: web.Server) -> None:
    plain.answers["/file"] = lambda call: call.say(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nbytes and more"
    )
    assert Got(plain).bytes == b"bytes"


def test_a_body_that_is_longer_than_was_said(server: web.Server) -> None:
    """What follows would be the next answer"""
    served(server, b"twelve bytes").said = 6
    got = Got(server)
    assert (got.bytes, got.error) == (b"twelve", None)


def test_a_body_that_is_shorter_than_was_said(server: web.Server, body: bytes) -> None:
    served(server, body).said = SIZE + 5
    got = Got(server)
    assert isinstance(got.error, (FetchError, Changed))
    assert got.bytes == body, "and whoever has them knows that they aren't all"


def test_chunks_of_more_than_was_said_before(plain: web.Server, body: bytes) -> None:
    file = served(plain, body)
    file.cuts = {0: 1_000_000}

    def longer(call: web.Call) -> None:
        if file.count == 0:
            file(call)
            return
        head = 'HTTP/1.1 206 Partial Content\r\nETag: "one"\r\nTransfer-Encoding: chunked\r\n'
        start = int(call.header("Range")[6:].rstrip("-"))
        rest = body[start:] + b"more"
        call.say(f"{head}Content-Range: bytes {start}-{SIZE - 1}/{SIZE}\r\n\r\n{len(rest):x}\r\n".encode() + rest)
        call.say(b"\r\n0\r\n\r\n")

    plain.answers["/file"] = longer
    assert "more bytes than the 3000000" in Got(plain).cause


# --- connections that break -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 16_384, 1_500_000, SIZE - 1])
def test_a_connection_that_breaks(server: web.Server, body: bytes, cut: int, resets: bool) -> None:
    file = served(server, body)
    file.cuts = {0: cut}
    file.resets = resets
    got = Got(server)
    assert got.error is None
    assert got.bytes == body
    assert len(server.calls) == 2
    assert "broke off" in got.notices[0]
    again = server.calls[1]
    if again.header("Range"):
        assert again.header("If-Range") == '"one"'
    else:
        # with a reset, bytes that were here already may be lost
        assert cut == 0 or resets


def test_chunks_that_break(server: web.Server, body: bytes) -> None:
    file = served(server, body)
    file.chunk = 100_000
    file.cuts = {0: 1_234_567}
    got = Got(server)
    assert (got.error, got.bytes) == (None, body)
    assert len(server.calls) == 2


def test_many_breaks_are_fine_as_long_as_it_gets_on(plain: web.Server, body: bytes) -> None:
    body *= 4
    file = served(plain, body)
    file.cuts = dict.fromkeys(range(9), 1_200_000)
    got = Got(plain)
    assert (got.error, got.bytes) == (None, body)
    assert len(plain.calls) == 10


def test_breaks_without_progress_end_it(plain: web.Server, body: bytes) -> None:
    served(plain, body).cuts = dict.fromkeys(range(99), 100)
    got = Got(plain)
    assert "broke off on the way (tried 4 times)" in got.cause
    assert got.bytes == body[:400]
    assert len(plain.calls) == 4


def test_a_server_that_falls_silent(server: web.Server, body: bytes) -> None:
    file = served(server, body)
    file.cuts = {0: 1_000_000}
    file.stall = server.ended
    got = Got(server, silence_seconds=0.4)
    assert (got.error, got.bytes) == (None, body)
    assert "fell silent" in got.notices[0]


def test_a_server_that_stays_silent(plain: web.Server, body: bytes) -> None:
    plain.answers["/file"] = web.stalling(plain, b"")
    got = Got(plain, silence_seconds=0.2)
    assert "fell silent (tried 4 times)" in got.cause
    assert got.seconds < 3


def test_a_server_that_drips(plain: web.Server) -> None:
    """Ten bytes a second are no silence, and no download"""
    plain.answers["/file"] = web.dripping(plain, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x")
    got = Got(plain, silence_seconds=0.5, patience=QUICK._replace(tries=1))
    assert "comes too slowly" in got.cause
    assert got.seconds < 3


def test_a_server_that_begins_to_drip(server: web.Server, body: bytes) -> None:
    """After it was fast: whoever gathers blocks must notice"""
    head = f'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: {SIZE}\r\n\r\n'.encode()
    dripping = web.dripping(server, head + body[:2_000_000], b"x")
    file = web.File(body)

    def answer(call: web.Call) -> None:
        (dripping if len(server.calls) == 1 else file)(call)

    server.answers["/file"] = answer
    got = Got(server, silence_seconds=0.5)
    assert "comes too slowly" in got.notices[0]
    assert got.error is None
    assert len(got.bytes) == SIZE
    assert got.bytes[:2_000_000] == body[:2_000_000]


def test_a_head_that_drips(plain: web.Server) -> None:
    plain.answers["/file"] = web.dripping(plain, b"HTTP/1.1 200 OK\r\nX: ", b"x")
    got = Got(plain, silence_seconds=0.5, connect_seconds=0.2)
    assert "does not begin to come" in got.cause
    assert got.seconds < 4


def test_a_server_that_cannot_give_parts(server: web.Server, body: bytes) -> None:
    """It starts again, with the same: what was had is passed over"""
    file = served(server, body, ranges=False)
    file.cuts = {0: 1_000_001}
    got = Got(server)
    assert (got.error, got.bytes) == (None, body)


def test_a_file_that_is_another_one_after_a_break(server: web.Server, body: bytes) -> None:
    file = served(server, body)
    file.cuts = {0: 1_000_000}
    other = web.File(body[::-1], etag='"two"')

    def answer(call: web.Call) -> None:
        (file if len(server.calls) == 1 else other)(call)

    server.answers["/file"] = answer
    got = Got(server)
    assert isinstance(got.error, Changed)
    assert body.startswith(got.bytes)


@pytest.mark.parametrize("lie", ["etag", "size"])
def test_a_server_that_ignores_if_range(plain: web.Server, body: bytes, lie: str) -> None:
    file = served(plain, body)
    file.cuts = {0: 1_000_000}

    def answer(call: web.Call) -> None:
        if len(plain.calls) == 1:
            file(call)
            return
        etag, total = ('"two"', SIZE) if lie == "etag" else ('"one"', SIZE + 10)
        start = int(call.header("Range")[6:].rstrip("-"))
        head = f"HTTP/1.1 206 Partial Content\r\nETag: {etag}\r\nContent-Range: bytes {start}-{total - 1}/{total}\r\n"
        call.say(f"{head}Content-Length: {total - start}\r\n\r\n".encode() + b"CANARY")

    plain.answers["/file"] = answer
    got = Got(plain)
    assert isinstance(got.error, Changed)
    assert b"CANARY" not in got.bytes


def test_a_weak_etag_continues_nothing(plain: web.Server, body: bytes) -> None:
    served(plain, body, etag='W/"one"').cuts = {0: 1_000_000}
    got = Got(plain)
    assert "can't be continued" in got.cause
    assert len(plain.calls) == 1


@pytest.mark.parametrize("date", ["", MODIFIED, "Sat, 01 Nov 2025 09:00:00 GMT", "yesterday"])
def test_a_date_of_this_very_second_tells_nothing_apart(plain: web.Server, body: bytes, date: str) -> None:
    """RFC 9110 section 8.8.2.2: the file may have been written again in that second, after its first bytes went out"""
    page = served(plain, body, etag="", modified=MODIFIED)
    page.date = date
    page.cuts = {0: 1_000_000}
    got = Got(plain)
    assert got.error is not None and len(got.bytes) <= 1_000_000
    assert len(plain.calls) <= 2 and not any(call.header("If-Range") for call in plain.calls)


def test_last_modified_continues_it_beside_a_weak_etag(plain: web.Server, body: bytes) -> None:
    served(plain, body, etag='W/"one"', modified=MODIFIED).cuts = {0: 1_000_000}
    assert Got(plain).bytes == body
    assert plain.calls[1].header("If-Range") == MODIFIED


def test_nothing_was_had_so_it_starts_again(plain: web.Server, body: bytes) -> None:
    served(plain, body, etag="").cuts = {0: 0}
    got = Got(plain)
    assert (got.error, got.bytes) == (None, body)


@pytest.mark.parametrize(
    "range_said",
    ["bytes 0-2999999/3000000", "bytes 5-1/3000000", "bytes 1000000-2999999/5", "items 1-2/3", "", "bytes */3000000"],
)
def test_a_part_that_is_another_one(plain: web.Server, body: bytes, range_said: str) -> None:
    file = served(plain, body)
    file.cuts = {0: 1_000_000}
    file.range_said = range_said or "what?"
    got = Got(plain)
    assert "part" in got.cause
    assert body.startswith(got.bytes)
    assert len(plain.calls) == 2


def test_a_part_whose_length_contradicts_its_range(plain: web.Server, body: bytes) -> None:
    file = served(plain, body)
    file.cuts = {0: 1_000_000}

    def answer(call: web.Call) -> None:
        file.said = None if len(plain.calls) == 1 else 17
        file(call)

    plain.answers["/file"] = answer
    assert "contradictory" in Got(plain).cause


def test_a_part_that_nobody_asked_for(plain: web.Server) -> None:
    plain.answers["/file"] = web.content(b"CANARY", status="206 Partial Content")
    got = Got(plain)
    assert "part that wasn't asked for" in got.cause
    assert got.bytes == b""


def test_a_server_that_gives_less_than_the_rest(plain: web.Server, body: bytes) -> None:
    """It may: one asks again"""
    file = served(plain, body)
    file.cuts = {0: 1_000_000}

    def answer(call: web.Call) -> None:
        if len(plain.calls) == 1:
            file(call)
            return
        start = int(call.header("Range")[6:].rstrip("-"))
        part = body[start : start + 500_000]
        head = f'HTTP/1.1 206 Partial Content\r\nETag: "one"\r\nContent-Length: {len(part)}\r\n'
        call.say(f"{head}Content-Range: bytes {start}-{start + len(part) - 1}/{SIZE}\r\n\r\n".encode() + part)

    plain.answers["/file"] = answer
    got = Got(plain)
    assert (got.error, got.bytes) == (None, body)
    assert len(plain.calls) == 5


# --- answers that are none, and may be one later ---------------------------------------------------------------------


@pytest.mark.parametrize("status", ["500 Oh", "502 Bad Gateway", "503 Busy", "504 Late", "429 Slow down", "408 Late"])
def test_a_server_that_is_well_again(plain: web.Server, body: bytes, status: str) -> None:
    served(plain, body).statuses = {0: status, 1: status}
    got = Got(plain)
    assert (got.error, got.bytes) == (None, body)
    assert [status[:3] in notice for notice in got.notices] == [True, True]


@pytest.mark.parametrize(
    ("status", "calls"), [("404 Not Found", 1), ("403 Forbidden", 1), ("401 Who", 1), ("410 Gone", 1), ("500 Oh", 4)]
)
def test_what_is_no_file_is_not_taken_for_one(server: web.Server, body: bytes, status: str, calls: int) -> None:
    served(server, body).statuses = dict.fromkeys(range(9), status)
    got = Got(server)
    assert f"the server says {status}" in got.cause
    assert got.bytes == b""
    assert len(server.calls) == calls


def test_a_file_that_is_gone_after_a_break(plain: web.Server, body: bytes) -> None:
    file = served(plain, body)
    file.cuts = {0: 1_000_000}
    file.statuses = {1: "404 Not Found"}
    got = Got(plain)
    assert "404" in got.cause
    assert b"CANARY" not in got.bytes


def test_the_server_says_when_to_come_again(plain: web.Server, body: bytes) -> None:
    served(plain, body).statuses = {0: "503 Busy\r\nRetry-After: 1"}
    got = Got(plain)
    assert got.bytes == body
    assert got.seconds >= 1


@pytest.mark.timed
def test_the_server_says_much_too_late_a_time(plain: web.Server, body: bytes) -> None:
    served(plain, body).statuses = {0: "503 Busy\r\nRetry-After: 3600"}
    got = Got(plain)
    assert "503" in got.cause
    assert isinstance(got.error, FetchError) and "try again in 3600 s" in got.error.remedy
    assert got.seconds < 1


@pytest.mark.timed
@pytest.mark.parametrize("text", ["Sat, 01 Nov 2025 10:00:00 GMT", "soon", "", "-1", "9" * 400])
def test_a_time_to_come_again_that_means_little(plain: web.Server, body: bytes, text: str) -> None:
    served(plain, body).statuses = {0: f"503 Busy\r\nRetry-After: {text}"}
    got = Got(plain)
    assert got.bytes == body or "503" in got.cause
    assert got.seconds < 1


def test_nobody_is_there(plain: web.Server) -> None:
    plain.close()
    got = Got(plain)
    assert "no connection (Connection refused) (tried 4 times)" in got.cause
    assert len(got.notices) == 3


def test_what_will_never_pass_is_not_tried_again(tmp_path: Path) -> None:
    with web.serving(tmp_path / "server", valid=False) as server:
        got = Got(server)
        assert "certificate does not hold" in got.cause
        assert got.notices == []


# --- what is there already --------------------------------------------------------------------------------------------


def test_the_rest_of_a_file(server: web.Server, body: bytes) -> None:
    served(server, body)
    got = Got(server, position=1_000_000, validators=Validators('"one"'))
    assert got.bytes == body[1_000_000:]
    assert got.facts is not None and got.facts.size == SIZE


def test_the_rest_of_another_file(server: web.Server, body: bytes) -> None:
    served(server, body)
    got = Got(server, position=1_000_000, validators=Validators('"zero"'))
    assert isinstance(got.error, Changed)
    assert got.bytes == b""


def test_the_rest_of_a_file_that_nobody_knows(plain: web.Server, body: bytes) -> None:
    served(plain, body)
    assert isinstance(Got(plain, position=5, validators=Validators('W/"one"')).error, Changed)
    assert isinstance(Got(plain, position=5).error, Changed)
    assert plain.calls == []


def test_the_rest_from_a_server_that_cannot_give_parts(plain: web.Server, body: bytes) -> None:
    served(plain, body, ranges=False)
    assert Got(plain, position=1_000_001, validators=Validators('"one"')).bytes == body[1_000_001:]


def test_nothing_is_left(plain: web.Server, body: bytes) -> None:
    served(plain, body)
    got = Got(plain, position=SIZE, validators=Validators('"one"'))
    assert (got.bytes, got.error) == (b"", None)
    assert got.facts is not None and got.facts.size == SIZE


def test_more_is_there_than_the_file_has(plain: web.Server, body: bytes) -> None:
    served(plain, body)
    assert isinstance(Got(plain, position=SIZE + 5, validators=Validators('"one"')).error, Changed)


def test_it_has_not_changed(server: web.Server, body: bytes) -> None:
    served(server, body)
    got = Got(server, condition=Validators('"one"'))
    assert got.facts is not None and got.facts.not_modified
    assert (got.bytes, got.error) == (b"", None)
    served(server, body, etag="", modified=MODIFIED)
    got = Got(server, condition=Validators("", MODIFIED))
    assert got.facts is not None and got.facts.not_modified


def test_it_has_changed(server: web.Server, body: bytes) -> None:
    served(server, body)
    got = Got(server, condition=Validators('"zero"'))
    assert got.facts is not None and not got.facts.not_modified
    assert got.bytes == body


def test_not_modified_though_nobody_asked(plain: web.Server) -> None:
    plain.answers["/file"] = lambda call: call.say(b"HTTP/1.1 304 Not Modified\r\n\r\n")
    assert "304" in Got(plain).cause


# --- redirects and headers --------------------------------------------------------------------------------------------


def test_headers_go_to_their_host_only(plain: web.Server, tmp_path: Path, body: bytes) -> None:
    """Also where a redirect leads there; the names of a host are those of the URL"""
    with web.serving(tmp_path / "other", tls=False) as other:
        other.origin = f"http://localhost:{other.port}"
        other.answers["/there"] = web.File(body)
        plain.answers["/file"] = web.redirect(other.url("/there"))
        headers = {web.HOST: {"X-One": "first"}, f"localhost:{other.port}": {"X-Two": "second"}, "x": {"X-Three": "3"}}
        assert Got(plain, headers=headers).bytes == body
        assert (plain.calls[0].header("X-One"), plain.calls[0].header("X-Two")) == ("first", "")
        assert (other.calls[0].header("X-One"), other.calls[0].header("X-Two")) == ("", "second")
        assert "X-Three" not in plain.calls[0].head + other.calls[0].head
        assert SECRET not in other.calls[0].head


def test_a_redirect_from_https_to_http(tmp_path: Path, plain: web.Server, body: bytes) -> None:
    with web.serving(tmp_path / "server") as server:
        plain.answers["/file"] = web.File(body)
        server.answers["/file"] = web.redirect(plain.url("/file"))
        assert "from https to http" in Got(server).cause
        assert plain.calls == []
        headers = {web.HOST: {"X-Token": SECRET}}
        assert Got(server, checked=True, headers=headers).bytes == body, "a checksum says what came"
        assert server.calls[1].header("X-Token") == SECRET
        assert SECRET not in plain.calls[0].head, "not in clear what was meant for https"


@pytest.mark.timed
@pytest.mark.parametrize(
    "place", ["file:///etc/shadow", "ftp://127.0.0.1/x", "local://x", "gopher://x/", "//:0/", "data:,x"]
)
def test_a_redirect_to_elsewhere(plain: web.Server, place: str) -> None:
    plain.answers["/file"] = web.redirect(place)
    got = Got(plain)
    assert "leads to a URL that" in got.cause
    assert (got.seconds < 1, len(plain.calls)) == (True, 1)


def test_redirects_in_a_circle(server: web.Server) -> None:
    server.answers["/file"] = web.redirect("/file")
    assert "redirects more than 5 times" in Got(server).cause


# --- the end ----------------------------------------------------------------------------------------------------------


def cancelled(server: web.Server, after: float, **options: Any) -> float:
    """Seconds from the cancelling until it ended"""
    cancel = threading.Event()
    timer = threading.Timer(after, cancel.set)
    since = time.monotonic()
    timer.start()
    got = Got(server, cancel=cancel, **options)
    assert isinstance(got.error, ProviderError) and got.error.code == "E-INTERRUPTED"
    return time.monotonic() - since - after


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nxxx"])
def test_cancelled_while_a_server_is_silent(server: web.Server, before: bytes) -> None:
    server.answers["/file"] = web.stalling(server, before)
    assert cancelled(server, 0.3) < 1


def test_cancelled_while_it_waits_to_try_again(plain: web.Server) -> None:
    plain.close()
    assert cancelled(plain, 0.3, patience=Patience(first=20.0)) < 1


def test_cancelled_while_a_head_drips(plain: web.Server) -> None:
    plain.answers["/file"] = web.dripping(plain, b"HTTP/1.1 200 OK\r\nX: ", b"x")
    assert cancelled(plain, 0.3) < 1


def test_closed_half_way_nothing_is_left(server: web.Server) -> None:
    """Neither the thread nor its connection"""
    server.answers["/file"] = web.endless
    before = len(os.listdir("/proc/self/fd"))
    transfer = Transfer(server.url("/file"), _rules(server), {}, threading.Event(), checked=True)
    transfer.open()
    next(transfer.blocks())
    transfer.close()
    transfer.close()
    _gone("transfer")
    deadline = time.monotonic() + 3
    # the server is in this process too
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_slow_taker_bounds_what_waits(plain: web.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    plain.answers["/file"] = web.endless
    with Transfer(plain.url("/file"), _rules(plain), {}, threading.Event(), checked=True) as transfer:
        transfer.open()
        blocks = transfer.blocks()
        next(blocks)
        time.sleep(0.5)
        assert transfer._queue.qsize() <= module.QUEUED


def test_a_slow_taker_is_no_silence(plain: web.Server, body: bytes) -> None:
    """Time that nobody takes blocks is not the server's"""
    plain.answers["/file"] = web.File(body * 8)
    got = bytearray()
    with Transfer(plain.url("/file"), _rules(plain, 0.3), {}, threading.Event()) as transfer:
        transfer.open()
        for number, block in enumerate(transfer.blocks()):
            got += block
            if number == 0:
                time.sleep(1.5)
    assert got == body * 8
    assert len(plain.calls) == 1


def _rules(server: web.Server, silence: float = 5.0) -> Rules:
    return Rules(("https", "http"), str(server.ca_file) if server.ca_file.exists() else "", silence_seconds=silence)


def _gone(name: str) -> None:
    deadline = time.monotonic() + 2
    while any(thread.name == name for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread is left"
        time.sleep(0.05)


def test_through_a_proxy(tmp_path: Path, body: bytes) -> None:
    """A tunnel for https, which breaks and is dug again"""
    with web.serving(tmp_path / "server") as server, web.serving(tmp_path / "proxy", tls=False) as proxy:
        served(server, body).cuts = {0: 1_000_000}
        proxy.answers[f"{web.HOST}:{server.port}"] = web.tunnel
        got = Got(server, proxy=f"http://me:{SECRET}@{web.HOST}:{proxy.port}")
        assert (got.error, got.bytes) == (None, body)
        assert len(proxy.calls) == 2
        assert Got(server, proxy="http://127.0.0.1:1", no_proxy=(web.HOST,)).bytes == body
