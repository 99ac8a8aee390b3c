"""Downloads: urllib3, with the rules that hold for everything which root fetches

Certificates are checked, every hop of a redirect is looked at before it is followed, nothing waits for ever, and no
message shows what a URL may hide: user, password and query. `urllib3` is imported when something is fetched.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from helper_agent.protocol import AGENT_VERSION
from helper_host import http_failures
from helper_host.http_failures import FetchError
from helper_host.log import printable

if TYPE_CHECKING:
    import ssl

    import urllib3

HTTPS = ("https",)
REDIRECTS_MAX = 5
REDIRECTS = (301, 302, 303, 307, 308)
BLOCK = 1 << 18
MIB = 1 << 20
URL_MAX = 2000
PORTS = {"http": 80, "https": 443}
OWN_URL = "give the URL of the file itself"
HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")
"""A name, an address of either kind, with a zone."""
DIGITS_MAX = 20
"""Fewer than these a Content-Length has that can be meant."""


class Rules(NamedTuple):
    """How to fetch"""

    schemes: tuple[str, ...] = HTTPS
    """Allowed in the URL and in whatever it redirects to."""
    ca_file: str = ""
    """PEM file of certificate authorities that are trusted beside the system's."""
    proxy: str = ""
    """URL of a proxy; without it the environment's https_proxy, http_proxy, all_proxy and no_proxy."""
    no_proxy: tuple[str, ...] = ()
    """Hosts and domains that `proxy` is not for."""
    connect_seconds: float = 15.0
    silence_seconds: float = 30.0
    """Seconds in which at least one byte must come."""


DEFAULT = Rules()


Headers = Mapping[str, str]
HeadersOf = Callable[[SplitResult], Headers]
"""What is sent to a URL beside what always is."""


class Body:
    """What a server answers with"""

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self._response = response
        self._stopped = False
        self.url = url
        """After redirects."""
        self.status = response.status
        """200, or 206 for a part that was asked for."""
        self.headers: Headers = response.headers
        """Their names in any case."""
        length = response.headers.get("Content-Length", "")
        # Python refuses numbers of thousands of digits
        self.length = int(length) if len(length) < DIGITS_MAX and length.isascii() and length.isdigit() else None
        """Bytes, where the server says it."""

    def blocks(self) -> Iterator[bytes]:
        """The bytes as they come, as they are (no Content-Encoding undone)

        Raises:
            FetchError: broken off, or silent for too long
        """
        while block := self.some(BLOCK):
            yield block

    def some(self, most: int) -> bytes:
        """What one read from the connection gives, `most` bytes of it; waits for a byte, b"" at the end

        With encryption a read gives 16 KiB, and more room is allocated in vain.

        Raises:
            FetchError
        """
        try:
            return self._response.read1(most, decode_content=False)
        except Exception as error:
            raise self._broken(error) from None

    def full(self, size: int) -> bytes:
        """`size` bytes, fewer at the end only; they are gathered without Python's doing, which is three times as fast

        Raises:
            FetchError: what was gathered is lost
        """
        try:
            return self._response.read(size, decode_content=False)
        except Exception as error:
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> FetchError:
        # what a connection's objects say that is closed under their hands is no defect of theirs
        return FetchError(*http_failures.BROKEN, passing=True) if self._stopped else http_failures.broken(error)

    def stop(self) -> None:
        """From another thread: whoever reads gets an end or an error at once"""
        self._stopped = True
        # closed meanwhile, or never open
        with suppress(ValueError, RuntimeError, OSError, AttributeError):
            self._response.shutdown()


def parts(url: str, schemes: tuple[str, ...] = HTTPS) -> SplitResult:
    """The URL taken apart, if it is one that may be fetched; no I/O

    Raises:
        ValueError: the text follows `the URL`, and has no part of it
    """
    if len(url) > URL_MAX:
        raise ValueError(f"is longer than {URL_MAX} characters")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("has characters that must be percent-encoded")
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if split.scheme not in schemes:
        raise ValueError(f"does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if not split.hostname or port == 0:
        raise ValueError("names no host")
    if not HOST.fullmatch(split.hostname) or "\\" in url:
        # libraries don't agree on what these mean
        raise ValueError("has characters that must be percent-encoded")
    return split


def shown(url: str) -> str:
    """The URL for people: without user, password, query and fragment"""
    try:
        split = urlsplit(url)
        host, port = split.hostname or "", split.port
    except ValueError:
        return "(a URL)"
    # a password with a slash or a question mark that isn't encoded: what looks like host and port is none
    behind = "@" in split.query + split.fragment and "@" not in split.netloc
    if "@" in split.path or (behind and (not split.path or port is not None)):
        return "(a URL)"
    host = f"[{host}]" if ":" in host else host
    return printable(f"{split.scheme}://{host}{f':{port}' if port else ''}{split.path}{'?...' if split.query else ''}")


@contextmanager
def get(url: str, rules: Rules = DEFAULT, headers: Headers | None = None) -> Iterator[Body]:
    """The answer to a GET, redirects followed; `headers` go to the URL's own host only

    Raises:
        FetchError: no answer, one that is not 200 (or 206 where a Range was asked for), a certificate that doesn't hold
    """
    first = _origin(urlsplit(url))
    with ask(url, rules, lambda split: (headers or {}) if _origin(split) == first else {}) as body:
        yield body


@contextmanager
def ask(
    url: str,
    rules: Rules,
    headers_of: HeadersOf,
    *,
    statuses: Collection[int] = (200, 206),
    downgrade: bool = False,
) -> Iterator[Body]:
    """The answer to a GET, redirects followed

    Args:
        statuses: what is an answer; all else is a failure
        downgrade: a redirect may lead from https to http

    Raises:
        FetchError
    """
    before = ""
    for _ in range(REDIRECTS_MAX + 1):
        try:
            split = parts(url, rules.schemes)
        except ValueError as error:
            raise FetchError(f"leads to a URL that {error}", OWN_URL) from None
        if (before, split.scheme) == ("https", "http") and not downgrade:
            raise FetchError("leads from https to http, where anybody on the way can change it", OWN_URL)
        before = split.scheme
        with _answer(split, headers_of(split), rules) as response:
            if response.status in statuses:
                yield Body(response, url)
                return
            if response.status not in REDIRECTS or not (place := response.headers.get("Location")):
                raise http_failures.refusal(response)
        url = _next(url, place)
    raise FetchError(f"redirects more than {REDIRECTS_MAX} times", OWN_URL)


def for_hosts(headers_by_host: Mapping[str, Headers], url: str) -> HeadersOf:
    """Who gets which of the settings' headers while `url` is fetched: the hosts they are for, with or without a port

    What may be secret is not sent in clear, unless `url` itself is one of http.
    """
    first = urlsplit(url).scheme

    def headers_of(split: SplitResult) -> Headers:
        if split.scheme != "https" and first == "https":
            return {}
        host = (split.hostname or "").rstrip(".")
        port = split.port or PORTS.get(split.scheme, 0)
        return {**headers_by_host.get(host, {}), **headers_by_host.get(f"{host}:{port}", {})}

    return headers_of


def _next(url: str, place: str) -> str:
    try:
        return urljoin(url, place)
    except ValueError:
        raise FetchError("leads to a URL that is none", OWN_URL) from None


def fetch(
    url: str,
    *,
    limit: int,
    seconds: float,
    rules: Rules = DEFAULT,
    headers_by_host: Mapping[str, Headers] = MappingProxyType({}),
) -> bytes:
    """A small file of at most `limit` bytes, in `seconds` from start to end

    Raises:
        FetchError
    """
    result: list[bytes | BaseException] = []
    ended = threading.Event()

    def work() -> None:
        try:
            headers_of = for_hosts(headers_by_host, url)
            result.append(_fetch(url, limit, time.monotonic() + seconds, rules, headers_of))
        except BaseException as error:
            result.append(error)
        finally:
            ended.set()

    # names that don't resolve and headers that come byte by byte know no time limit: whoever waits, has one
    threading.Thread(target=work, name="fetch", daemon=True).start()
    if not ended.wait(seconds + 0.5):
        raise _too_slow(seconds)
    answer = result[0]
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _fetch(url: str, limit: int, deadline: float, rules: Rules, headers_of: HeadersOf) -> bytes:
    content = bytearray()
    with ask(url, rules, headers_of) as body:
        if body.length is not None and body.length > limit:
            raise _too_large(limit)
        for block in body.blocks():
            content += block
            if len(content) > limit:
                raise _too_large(limit)
            if time.monotonic() > deadline:
                raise FetchError("comes too slowly", "see whether the server is well")
    return bytes(content)


def _too_large(limit: int) -> FetchError:
    return FetchError(f"has more than the {limit / MIB:g} MiB that it may have", "see whether this is the right URL")


def _too_slow(seconds: float) -> FetchError:
    return FetchError(f"was not there after {seconds:g} s", "see whether the server is well, and its name resolves")


# --- one request ----------------------------------------------------------------------------------------------------


@contextmanager
def _answer(split: SplitResult, headers: Headers, rules: Rules) -> Iterator[urllib3.BaseHTTPResponse]:
    import urllib3

    url = split._replace(netloc=split.netloc.rpartition("@")[2], fragment="").geturl()
    sent = {"User-Agent": f"ganeti-instance-helper/{AGENT_VERSION}", "Accept-Encoding": "identity"}
    if split.username is not None:
        sent |= _basic(split)
    timeout = urllib3.Timeout(connect=rules.connect_seconds, read=rules.silence_seconds)
    with _manager(split.scheme, _proxy(split, rules), rules.ca_file) as manager:
        try:
            response = manager.request(
                "GET",
                url,
                headers={**sent, **headers},
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=timeout,
            )
        except Exception as error:
            raise http_failures.failure(error) from None
        with response:
            yield response


def _manager(scheme: str, proxy: str, ca_file: str) -> urllib3.PoolManager:
    import urllib3

    # whom the node trusts is many certificates, and nobody asks for them on the way to a server of http
    if scheme == "http" and not proxy:
        return urllib3.PoolManager()
    context = _trust(ca_file)
    if not proxy:
        return urllib3.PoolManager(ssl_context=context)
    try:
        way = parts(proxy if "://" in proxy else f"http://{proxy}", ("http", "https"))
    except ValueError as error:
        raise FetchError(f"is behind a proxy whose URL {error}", "correct the proxy's URL") from None
    bare = way._replace(netloc=way.netloc.rpartition("@")[2], path="", query="", fragment="").geturl()
    headers = {f"Proxy-{name}": value for name, value in _basic(way).items()} if way.username is not None else None
    return urllib3.ProxyManager(bare, proxy_headers=headers, ssl_context=context, proxy_ssl_context=context)


def _proxy(split: SplitResult, rules: Rules) -> str:
    if not rules.proxy and not any(name.lower().endswith("_proxy") for name in os.environ):
        return ""  # the usual case: the import costs more than all the rest
    import urllib.request

    proxies = (
        {"all": rules.proxy, "no": ",".join(rules.no_proxy)} if rules.proxy else urllib.request.getproxies_environment()
    )
    # what requests and pip use too; typeshed doesn't know it
    bypass: Callable[..., object] = getattr(urllib.request, "proxy_bypass_environment")  # noqa: B009
    if bypass(split.netloc.rpartition("@")[2], proxies):
        return ""
    return proxies.get(split.scheme) or proxies.get("all") or ""


def _basic(split: SplitResult) -> dict[str, str]:
    from base64 import b64encode

    pair = f"{unquote(split.username or '')}:{unquote(split.password or '')}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}


def _origin(split: SplitResult) -> tuple[str, str]:
    return split.scheme, split.netloc.rpartition("@")[2]


def check_authorities(ca_file: str) -> None:
    """Whether it can be used

    Raises:
        FetchError
    """
    _trust(ca_file)


def _trust(ca_file: str) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "no PEM certificates"
            raise FetchError(
                f"can't be checked: {ca_file} can't be read ({reason})", "correct ca_file in the settings"
            ) from None
    return context
