"""Downloads from a real HTTPS server that does what servers, and those who sit between, do"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helper_host import http
from helper_host.http import Rules
from helper_host.http_failures import FetchError
from tests.host import web

SECRET = "canary-91c4"
LIMIT = 1 << 20


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[web.Server]:
    with web.serving(tmp_path / "server") as server:
        yield server


def fetch(server: web.Server, path: str = "/file", seconds: float = 10, **rules: Any) -> bytes:
    url = f"https://me:{SECRET}@{web.HOST}:{server.port}{path}?token={SECRET}"
    for name in list(server.answers):
        server.answers.setdefault(f"{name}?token={SECRET}", server.answers[name])
    wanted = Rules(ca_file=str(server.ca_file))._replace(**rules)
    return http.fetch(url, limit=LIMIT, seconds=seconds, rules=wanted)


def refusal(server: web.Server, path: str = "/file", seconds: float = 10, **rules: Any) -> FetchError:
    """The error of a fetch that fails; nothing in it is secret"""
    with pytest.raises(FetchError) as caught:
        fetch(server, path, seconds, **rules)
    assert SECRET not in f"{caught.value} {caught.value.cause} {caught.value.remedy} {caught.value.__cause__!r}"
    assert caught.value.remedy
    return caught.value


def test_a_file_comes_as_it_is(server: web.Server) -> None:
    body = bytes(range(256)) * 4000
    server.answers["/file"] = web.content(body)
    assert fetch(server) == body
    assert server.calls[0].header("Accept-Encoding") == "identity"
    assert server.calls[0].header("User-Agent").startswith("ganeti-instance-helper/")


def test_a_file_in_chunks(server: web.Server) -> None:
    server.answers["/file"] = web.chunked(b"one", b"two", whole=True)
    assert fetch(server) == b"onetwo"


def test_user_and_password_go_to_the_server_and_not_elsewhere(server: web.Server, tmp_path: Path) -> None:
    with web.serving(tmp_path / "other") as other:
        both = tmp_path / "both.pem"
        both.write_bytes(server.ca_file.read_bytes() + other.ca_file.read_bytes())
        other.answers["/there"] = web.content(b"moved")
        server.answers["/file"] = web.redirect(other.url("/there"))
        assert fetch(server, ca_file=str(both)) == b"moved"
        assert server.calls[0].header("Authorization").startswith("Basic ")
        assert other.calls[0].header("Authorization") == ""
        assert SECRET not in other.calls[0].head


def test_headers_of_the_caller_go_to_the_server_and_not_elsewhere(server: web.Server, tmp_path: Path) -> None:
    with web.serving(tmp_path / "other") as other:
        both = tmp_path / "both.pem"
        both.write_bytes(server.ca_file.read_bytes() + other.ca_file.read_bytes())
        other.answers["/there"] = web.content(b"moved")
        server.answers["/file"] = web.redirect("/here")
        server.answers["/here"] = web.redirect(other.url("/there"))
        with http.get(server.url("/file"), Rules(ca_file=str(both)), {"X-Token": SECRET}) as body:
            assert (body.url, b"".join(body.blocks())) == (other.url("/there"), b"moved")
        assert [call.header("X-Token") for call in server.calls] == [SECRET, SECRET]
        assert SECRET not in other.calls[0].head


def test_headers_of_the_settings(server: web.Server) -> None:
    server.answers["/file"] = web.content(b"x")
    rules = Rules(ca_file=str(server.ca_file))
    for host in (web.HOST, f"{web.HOST}:{server.port}", f"{web.HOST}:1"):
        http.fetch(server.url("/file"), limit=9, seconds=5, rules=rules, headers_by_host={host: {"X-Token": SECRET}})
    assert [call.header("X-Token") for call in server.calls] == [SECRET, SECRET, ""]


def test_redirects_within_the_server(server: web.Server) -> None:
    server.answers["/file"] = web.redirect("/a")
    server.answers["/a"] = web.redirect("b")
    server.answers["/b"] = web.content(b"here")
    assert fetch(server) == b"here"


def test_a_part_of_a_file(server: web.Server) -> None:
    server.answers["/file"] = web.content(b"cd", status="206 Partial Content")
    rules = Rules(ca_file=str(server.ca_file))
    with http.get(server.url("/file"), rules, {"Range": "bytes=2-3"}) as body:
        assert (body.status, body.length, b"".join(body.blocks())) == (206, 2, b"cd")
    assert server.calls[0].header("Range") == "bytes=2-3"


def test_a_redirect_to_http_is_not_followed(server: web.Server, tmp_path: Path) -> None:
    with web.serving(tmp_path / "plain", tls=False) as plain:
        plain.answers["/file"] = web.content(b"changed on the way")
        server.answers["/file"] = web.redirect(plain.url("/file"))
        assert "leads to a URL that does not begin with https://" in refusal(server).cause
        assert plain.calls == []


@pytest.mark.parametrize("place", ["file:///etc/shadow", "ftp://127.0.0.1/x", "https://[::1", "https://:1/x", "//:0/"])
def test_a_redirect_to_anything_else_is_not_followed(server: web.Server, place: str) -> None:
    server.answers["/file"] = web.redirect(place)
    assert "leads to a URL that" in refusal(server).cause


def test_redirects_in_a_circle_end(server: web.Server) -> None:
    server.answers["/file"] = server.answers["/again"] = web.redirect("/again")
    assert "redirects more than 5 times" in refusal(server).cause
    assert len(server.calls) == 6


def test_a_redirect_to_nowhere(server: web.Server) -> None:
    server.answers["/file"] = web.content(b"", status="302 Found")
    assert "302 Found" in refusal(server).cause


@pytest.mark.parametrize(
    ("status", "remedy"),
    [("404 Not Found", "spelling"), ("401 Unauthorized", "user and password"), ("500 Oh", "the server's log")],
)
def test_an_answer_that_is_no_file(server: web.Server, status: str, remedy: str) -> None:
    server.answers["/file"] = web.content(b"<html>", status=status)
    error = refusal(server)
    assert f"the server says {status}" in error.cause
    assert remedy in error.remedy


def test_what_a_server_says_cannot_forge_the_log(server: web.Server) -> None:
    server.answers["/file"] = web.content(b"", status="500 \x1b]0;x\x07" + "y" * 5000)
    cause = refusal(server).cause
    assert "\x1b" not in cause
    assert len(cause) < 200


def test_a_certificate_of_an_authority_that_nobody_knows(server: web.Server) -> None:
    server.answers["/file"] = web.content(b"x")
    error = refusal(server, ca_file="")
    assert "certificate does not hold (self-signed certificate)" in error.cause
    assert "ca_file" in error.remedy
    assert server.calls == []


def test_a_certificate_of_another_host(tmp_path: Path) -> None:
    with web.serving(tmp_path / "server", valid=False) as server:
        server.answers["/file"] = web.content(b"x")
        error = refusal(server)
        assert "certificate does not hold" in error.cause
        assert error.remedy == "give the name that its certificate is for"
        assert server.calls == []


@pytest.mark.parametrize("content", [None, b"no PEM in here\n"])
def test_a_file_of_authorities_that_is_none(server: web.Server, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "authorities"
    if content is not None:
        path.write_bytes(content)
    error = refusal(server, ca_file=str(path))
    assert str(path) in error.cause
    assert "ca_file" in error.remedy


def test_a_server_without_encryption(tmp_path: Path, server: web.Server) -> None:
    with web.serving(tmp_path / "plain", tls=False) as plain:
        with pytest.raises(FetchError, match="no encryption could be agreed on") as caught:
            http.fetch(f"https://{web.HOST}:{plain.port}/", limit=LIMIT, seconds=10)
        assert "speaks https there" in caught.value.remedy
        assert all(not call.head.startswith("GET") for call in plain.calls)


def test_a_server_that_does_not_greet() -> None:
    """The kernel takes the connection; nobody does the handshake"""
    with socket.create_server((web.HOST, 0)) as listener:
        since = time.monotonic()
        with pytest.raises(FetchError, match=r"the server (doesn't answer|fell silent)"):
            http.fetch(
                f"https://{web.HOST}:{listener.getsockname()[1]}/",
                limit=LIMIT,
                seconds=10,
                rules=Rules(connect_seconds=0.3, silence_seconds=0.3),
            )
        assert time.monotonic() - since < 3


def test_nobody_listens(server: web.Server) -> None:
    server.close()
    assert "no connection (Connection refused)" in refusal(server).cause


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(FetchError) as caught:
        http.fetch("https://nowhere.invalid/x", limit=LIMIT, seconds=10)
    assert "doesn't resolve" in caught.value.cause or "was not there" in caught.value.cause


def test_a_body_shorter_than_announced(server: web.Server) -> None:
    server.answers["/file"] = web.content(b"half", length=8)
    assert "broke off" in refusal(server).cause


def test_chunks_that_break_off(server: web.Server) -> None:
    server.answers["/file"] = web.chunked(b"one", b"two", whole=False)
    assert "broke off" in refusal(server).cause


def test_an_answer_that_is_no_http(server: web.Server) -> None:
    server.answers["/file"] = lambda call: call.say(b"\x00\x01\x02 what?\r\n\r\n")
    assert "broke off" in refusal(server).cause


def test_a_connection_that_closes_without_an_answer(server: web.Server) -> None:
    server.answers["/file"] = lambda call: None
    assert "broke off" in refusal(server).cause


def test_a_length_of_thousands_of_digits(server: web.Server) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + b"9" * 5000
    server.answers["/file"] = lambda call: call.say(head + b"\r\n\r\nhere")
    assert fetch(server) == b"here"


def test_a_body_that_says_it_is_too_large(server: web.Server) -> None:
    server.answers["/file"] = web.content(b"", length=LIMIT + 1)
    assert "more than the 1 MiB" in refusal(server).cause


def test_a_body_without_an_end(server: web.Server) -> None:
    server.answers["/file"] = web.endless
    since = time.monotonic()
    assert "more than the 1 MiB" in refusal(server).cause
    assert time.monotonic() - since < 5


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
def test_a_server_that_falls_silent(server: web.Server, before: bytes) -> None:
    server.answers["/file"] = web.stalling(server, before)
    since = time.monotonic()
    assert "silent" in refusal(server, silence_seconds=0.3).cause
    assert time.monotonic() - since < 3


@pytest.mark.parametrize("before", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_a_server_that_drips(server: web.Server, before: bytes) -> None:
    """Never silent, and never done: neither in the head nor in the body"""
    server.answers["/file"] = web.dripping(server, before, b"x")
    since = time.monotonic()
    cause = refusal(server, seconds=0.6, silence_seconds=0.5).cause
    assert "too slowly" in cause or "was not there after 0.6 s" in cause
    assert time.monotonic() - since < 3


# --- proxies ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(tmp_path: Path, server: web.Server) -> Iterator[web.Server]:
    server.answers["/file"] = web.content(b"through the tunnel")
    with web.serving(tmp_path / "proxy", tls=False) as proxy:
        proxy.answers[f"{web.HOST}:{server.port}"] = web.tunnel
        yield proxy


def test_the_proxy_of_the_settings(server: web.Server, proxy: web.Server) -> None:
    assert fetch(server, proxy=f"http://us%40er:pass@{web.HOST}:{proxy.port}/") == b"through the tunnel"
    assert proxy.calls[0].head.startswith("CONNECT ")
    assert proxy.calls[0].header("Proxy-Authorization") == "Basic dXNAZXI6cGFzcw=="
    assert SECRET not in proxy.calls[0].head, "what is fetched the proxy doesn't see"


def test_a_proxy_without_a_scheme_is_one_of_http(server: web.Server, proxy: web.Server) -> None:
    assert fetch(server, proxy=f"{web.HOST}:{proxy.port}") == b"through the tunnel"
    assert proxy.calls


def test_hosts_that_the_proxy_is_not_for(server: web.Server, proxy: web.Server) -> None:
    assert fetch(server, proxy=f"http://{web.HOST}:{proxy.port}", no_proxy=(web.HOST,)) == b"through the tunnel"
    assert proxy.calls == []


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_the_proxy_of_the_environment(
    server: web.Server, proxy: web.Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, f"http://{web.HOST}:{proxy.port}")
    assert fetch(server) == b"through the tunnel"
    assert len(proxy.calls) == 1
    monkeypatch.setenv("no_proxy", f"example.org,{web.HOST}")
    assert fetch(server) == b"through the tunnel"
    assert len(proxy.calls) == 1


def test_a_proxy_that_refuses(server: web.Server, proxy: web.Server) -> None:
    proxy.answers = {f"{web.HOST}:{server.port}": web.content(b"", status="407 Proxy Authentication Required")}
    error = refusal(server, proxy=f"http://me:{SECRET}@{web.HOST}:{proxy.port}")
    assert "through the proxy (407 Proxy Authentication Required)" in error.cause


def test_a_proxy_that_is_not_there(server: web.Server, proxy: web.Server) -> None:
    proxy.close()
    assert "through the proxy (Connection refused)" in refusal(server, proxy=f"http://{web.HOST}:{proxy.port}").cause


def test_a_proxy_whose_url_is_none(server: web.Server) -> None:
    assert "proxy" in refusal(server, proxy=f"socks5://me:{SECRET}@x").remedy


# --- URLs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/x", "does not begin with https://"),
        ("example.org/x", "does not begin with https://"),
        ("https:///x", "names no host"),
        ("https://example.org:0/", "names no host"),
        ("https://example.org:70000/", "is not a URL"),
        ("https://[::1/", "is not a URL"),
        ("https://example.org/a b", "percent-encoded"),
        ("https://example.org/ü", "percent-encoded"),
        ("https://example.org/a\nb", "percent-encoded"),
        ("https://exa<mple.org/", "percent-encoded"),
        ("https://example.org\\@evil.org/", "percent-encoded"),
        ("https://example.org/" + "a" * 3000, "longer than"),
    ],
)
def test_what_is_no_url(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        http.parts(url)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://me:pw@example.org/a/b?key=pw#sha256:00", "https://example.org/a/b?..."),
        ("https://me@[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
        ("https://example.org", "https://example.org"),
        ("https://me:p@w@example.org:99999999/", "(a URL)"),
        ("https://me:1/w@example.org/", "(a URL)"),
        ("https://me:1?w@example.org/", "(a URL)"),
        ("https://me:1/w?w@example.org/", "(a URL)"),
        ("https://me:1/w#w@example.org/", "(a URL)"),
        ("https://example.org/a?me@example.org", "https://example.org/a?..."),
        ("https://me:w@example.org:1/a?me@example.org", "https://example.org:1/a?..."),
    ],
)
def test_how_a_url_is_shown(url: str, text: str) -> None:
    assert http.shown(url) == text


def test_the_library_is_imported_when_something_is_fetched() -> None:
    script = "import sys; from helper_host import http; sys.exit('urllib3' in sys.modules or 'ssl' in sys.modules)"
    here = Path(__file__).resolve().parents[2]
    path = f"import sys; sys.path[:0] = [{str(here / 'host')!r}, {str(here / 'helper')!r}]\n"
    subprocess.run([sys.executable, "-c", path + script], check=True)
