"""Images over http and https: where they may come from, and what comes"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.http import Rules
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import Content
from helper_host.image.integrity import checksum
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.sources import Places, check, open_reference
from helper_host.image.sources.listed import normal
from tests.host.web import HOST, File, Server, redirect, serving, stalling

SECRET = "canary-c0de"
BODY = random.Random(9).randbytes(2_500_000)
CHECKED = Integrity((checksum.parse("sha256:" + "0" * 64),))


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "server") as server:
        server.answers["/debian%2012.raw"] = File(BODY)
        yield server


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def from_web(tmp_path: Path, server: Server, warnings: list[str]) -> Places:
    return Places(
        "/nowhere",
        (),
        rules=Rules(("https", "http"), str(server.ca_file)),
        cache=CacheSpec(str(tmp_path / "cache")),
        warn=warnings.append,
    )


def opened(url: str, places: Places, integrity: Integrity = NOTHING) -> Content:
    content = open_reference(url, places, integrity)
    assert content is not None
    return content


def refused(url: str, places: Places, integrity: Integrity = NOTHING) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        opened(url, places, integrity)
    assert SECRET not in f"{caught.value} {caught.value.__cause__!r}"
    return caught.value


def test_a_download(server: Server, from_web: Places, warnings: list[str]) -> None:
    with opened(server.url("/debian%2012.raw"), from_web) as content:
        assert (content.name, content.file_name) == (server.url("/debian%2012.raw"), "debian 12.raw")
        assert (content.size, content.at_hand, content.path, content.sha256) == (len(BODY), False, "", "")
        assert content.peek(100) == BODY[:100]
        assert content.peek(900_000) == BODY[:900_000]
        pieces = [bytes(piece) for piece in content.pieces(threading.Event())]
    assert b"".join(pieces) == BODY
    assert all(0 < len(piece) <= 1 << 20 for piece in pieces)
    assert warnings == []


def test_a_download_as_a_file(server: Server, from_web: Places) -> None:
    told = []
    with opened(server.url("/debian%2012.raw"), from_web) as content:
        content.peek(10)
        descriptor = content.whole(lambda *so_far: told.append(so_far), threading.Event())
        assert os.pread(descriptor, len(BODY) + 1, 0) == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert os.listdir(from_web.cache.folder) == [] or not any(
        path.is_file() and path.stat().st_size > 1000 for path in Path(from_web.cache.folder).rglob("*")
    ), "nothing with a name is left"


@pytest.mark.timed
def test_cancelled(server: Server, from_web: Places) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    server.answers["/x"] = stalling(server, head + BODY[:100_000])
    cancel = threading.Event()
    with opened(server.url("/x"), from_web) as content:
        assert content.peek(1000) == BODY[:1000]
        threading.Timer(0.3, cancel.set).start()
        since = time.monotonic()
        with pytest.raises(ProviderError, match="E-INTERRUPTED"):
            list(content.pieces(cancel))
        assert time.monotonic() - since < 1.3


def test_what_is_not_there(server: Server, from_web: Places) -> None:
    error = refused(server.url(f"/nothing?token={SECRET}"), from_web)
    assert error.code == "E-IMAGE-FETCH"
    assert "the server says 404" in error.cause
    assert "?..." in error.cause


def test_no_encryption_and_no_checksum(tmp_path: Path, from_web: Places, warnings: list[str]) -> None:
    with serving(tmp_path / "plain", tls=False) as plain:
        plain.answers["/x"] = File(BODY)
        opened(plain.url("/x"), from_web, CHECKED).close()
        assert warnings == []
        opened(plain.url("/x"), from_web).close()
        assert "anybody on the way can replace it" in warnings[0]


def test_a_body_whose_end_nobody_knows(server: Server, from_web: Places) -> None:
    file = File(BODY)
    file.open_ended = True
    server.answers["/x"] = file
    assert "nobody could tell a part of it from all of it" in refused(server.url("/x"), from_web).cause
    with opened(server.url("/x"), from_web, CHECKED) as content:
        assert content.size is None
        assert b"".join(map(bytes, content.pieces(threading.Event()))) == BODY
        assert content.size == len(BODY)


def test_a_file_that_is_replaced(server: Server, from_web: Places) -> None:
    one, two = File(BODY), File(BODY[::-1], etag='"two"')
    one.cuts = {0: 1_000_000}

    def answer(call: object) -> None:
        (one if len(server.calls) == 1 else two)(call)  # type: ignore[arg-type]

    server.answers["/x"] = answer
    with opened(server.url("/x"), from_web) as content, pytest.raises(ProviderError) as caught:
        list(content.pieces(threading.Event()))
    assert caught.value.code == "E-IMAGE-FETCH"
    assert "was replaced on its server" in caught.value.cause


# --- the list of URLs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/debian%2012.raw", "/%64ebian%2012.raw", "/debian%2012.raw?x=1", "/debian%2012.raw#x"]
)
def test_urls_on_the_list(server: Server, from_web: Places, path: str) -> None:
    server.answers["/debian%2012.raw?x=1"] = server.answers["/%64ebian%2012.raw"] = File(BODY)
    listed = from_web._replace(urls=("https://other.example.org/", f"https://{HOST}:{server.port}/deb"))
    url = f"HTTPS://me:{SECRET}@{HOST}:{server.port}{path}"
    opened(url, listed).close()


@pytest.mark.timed
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.org/images/x",
        "http://images.example.org/images/x",
        "https://images.example.org:8443/images/x",
        "https://images.example.org.evil.org/images/x",
        "https://images.example.org@evil.org/images/x",
        "https://images.example.org/other/x",
        "https://images.example.org/",
        "https://images.example.org",
        "https://images.example.org/IMAGES/x",
        "https://images.example.org/x?/images/",
        f"https://u:{SECRET}@evil.org/https://images.example.org/images/x?{SECRET}",
    ],
)
def test_urls_that_are_not(from_web: Places, url: str) -> None:
    since = time.monotonic()
    error = refused(url, from_web._replace(urls=("https://images.example.org/images/",)))
    assert error.code == "E-IMAGE-MISSING"
    assert "https://images.example.org/images/" in error.cause
    assert "image_urls" in error.remedy
    assert time.monotonic() - since < 1


@pytest.mark.parametrize(
    "rest",
    [
        "../x",
        "./x",
        "a/../../x",
        "%2e%2e/x",
        "%2E./x",
        "..",
        "..%2fx",
        "a%2f..%2f..%2fx",
        "..%5cx",
        "%252e%252e/x",
        "..\\x",
    ],
)
def test_ways_out_of_what_is_listed(from_web: Places, rest: str) -> None:
    url = f"https://images.example.org/images/{rest}"
    assert refused(url, from_web._replace(urls=("https://images.example.org/images/",))).code == "E-PARAMETER"
    with pytest.raises(ProviderError, match="E-PARAMETER"):
        check(url)


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("https://images.example.org/", "HTTPS://Images.Example.ORG:443/x"),
        ("https://images.example.org:443/", "https://images.example.org./x"),
        ("https://images.example.org/%7ejo/", "https://images.example.org/~jo/x"),
        ("https://images.example.org/a%2fb/", "https://images.example.org/a%2Fb/x"),
        ("https://[2001:db8::1]/", "https://[2001:DB8::1]/x"),
    ],
)
def test_two_forms_of_one_url(listed: str, url: str) -> None:
    assert normal(url).startswith(normal(listed))


def test_a_listed_server_may_redirect(server: Server, from_web: Places, tmp_path: Path) -> None:
    """To a mirror, as many do: the list says whose word it is"""
    with serving(tmp_path / "mirror", tls=False) as mirror:
        mirror.answers["/x"] = File(BODY)
        server.answers["/x"] = redirect(mirror.url("/x"))
        listed = from_web._replace(urls=(server.url("/"),))
        opened(server.url("/x"), listed, CHECKED).close()
        assert "from https to http" in refused(server.url("/x"), listed).cause


# --- what is no image -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://",
        "https:///x",
        "https://exa mple.org/x",
        "https://example.org/\x01",
        "https://example.org/ü",
        "https://example.org:0/x",
        "https://example.org:99999/x",
        "https://[::1/x",
        "https://ex\\ample.org/x",
        "https://ex<ample.org/x",
        "http://" + "a" * 2000,
    ],
)
def test_what_is_no_url(from_web: Places, url: str) -> None:
    with pytest.raises(ProviderError, match="E-PARAMETER"):
        check(url)
    assert refused(url, from_web).code == "E-PARAMETER"


@pytest.mark.timed
@pytest.mark.parametrize("place", ["file:///etc/shadow", "ftp://127.0.0.1:21/x", "local://debian", "s3://b/k"])
def test_redirects_that_reach_for_something_else(server: Server, from_web: Places, place: str) -> None:
    server.answers["/x"] = redirect(place)
    since = time.monotonic()
    error = refused(server.url("/x"), from_web._replace(programs={"s3": "/bin/cat", "ftp": "/bin/cat"}), CHECKED)
    assert error.code == "E-IMAGE-FETCH"
    assert "leads to a URL that does not begin with https:// or http://" in error.cause
    assert time.monotonic() - since < 1
    assert len(server.calls) == 1
