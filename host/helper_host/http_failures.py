"""What went wrong with a download, for people

The texts of urllib3 are never shown: they have URLs in them, which may hide user, password and query.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from helper_host.log import printable

if TYPE_CHECKING:
    import urllib3

BROKEN = "broke off on the way", "see whether the server is well, and try again"
HOSTNAME_MISMATCH, ADDRESS_MISMATCH = 62, 64
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h."""
SECONDS_DIGITS = 20
"""Digits of a Retry-After that count: Python refuses numbers of thousands of them."""


class FetchError(Exception):
    """A download failed: `cause` follows the shown URL, `remedy` says what to do; neither has a secret in it

    `passing`: it may go well when it is tried again; `after`: in as many seconds, where the server said so.
    """

    def __init__(self, cause: str, remedy: str, *, passing: bool = False, after: float | None = None) -> None:
        super().__init__(cause)
        self.cause = printable(cause)
        self.remedy = remedy
        self.passing = passing
        self.after = after


def refusal(response: urllib3.BaseHTTPResponse) -> FetchError:
    """What a status means that is none of success"""
    status = response.status
    reason = f"{status} {response.reason or ''}".strip()[:80]
    remedy = {
        401: "correct user and password: http_headers in the settings, or https://USER:PASSWORD@HOST/PATH",
        403: "see whether this node may fetch it",
        404: "look at its spelling",
        429: "try again later",
    }
    return FetchError(
        f"can't be had: the server says {reason}",
        remedy.get(status, "look at the server's log"),
        # 501 and 505: it will never know how
        passing=status in (408, 425, 429) or (500 <= status < 600 and status not in (501, 505)),
        after=_seconds(response.headers.get("Retry-After", "")),
    )


def _seconds(text: str) -> float | None:
    """A Retry-After (RFC 9110 section 10.2.3): seconds, or a date"""
    if text.isascii() and text.isdigit():
        return float(text[:SECONDS_DIGITS])
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def failure(error: Exception) -> FetchError:
    """What `error` means for people; the texts of the library are not shown, they have URLs in them"""
    import socket
    import ssl

    from urllib3 import exceptions

    reachable = "see whether the node can reach that server"
    chain = list(_chain(error))
    for each in chain:
        if isinstance(each, ssl.SSLCertVerificationError):
            remedy = "see that ca-certificates is installed, or name the authority's file with ca_file in the settings"
            if each.verify_code in (HOSTNAME_MISMATCH, ADDRESS_MISMATCH):
                remedy = "give the name that its certificate is for"
            return FetchError(
                f"can't be had: the server's certificate does not hold ({each.verify_message.rstrip('.')})", remedy
            )
    later = any(isinstance(each, socket.gaierror) and each.errno == socket.EAI_AGAIN for each in chain)
    cut = any(isinstance(each, (ssl.SSLEOFError, ConnectionError)) for each in chain)
    kinds: tuple[tuple[Any, str, str, bool], ...] = (
        (exceptions.ReadTimeoutError, "can't be had: the server fell silent", "see whether the server is well", True),
        (exceptions.ProxyError, f"can't be had through the proxy ({_reason(chain)})", "look at the proxy", cut),
        (
            ssl.SSLError,
            f"can't be had: no encryption could be agreed on ({_reason(chain)})",
            "see whether that server speaks https there",
            cut,
        ),
        # each is a kind of the next one
        (
            exceptions.NameResolutionError,
            "can't be had: the host's name doesn't resolve",
            "look at its spelling",
            later,
        ),
        (exceptions.NewConnectionError, f"can't be had: no connection ({_reason(chain)})", reachable, True),
        (exceptions.ConnectTimeoutError, "can't be had: the server doesn't answer", reachable, True),
    )
    for kind, cause, remedy, passing in kinds:
        if any(isinstance(each, kind) for each in chain):
            return FetchError(cause, remedy, passing=passing)
    return broken(error)


def broken(error: Exception) -> FetchError:
    """What an `error` means that came in the middle of a body"""
    from urllib3 import exceptions

    if any(isinstance(each, exceptions.ReadTimeoutError) for each in _chain(error)):
        return FetchError("can't be had: the server fell silent", "see whether the server is well", passing=True)
    if isinstance(error, (exceptions.HTTPError, OSError)):
        return FetchError(*BROKEN, passing=True)
    raise error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was made from"""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        each = waiting.pop(0)
        if each in seen:
            continue
        seen.append(each)
        yield each
        waiting += [
            other for other in (*each.args, each.__cause__, each.__context__) if isinstance(other, BaseException)
        ]
        original = getattr(each, "original_error", None)
        waiting += [original] if isinstance(original, BaseException) else []


def _reason(chain: list[BaseException]) -> str:
    import ssl

    for error in reversed(chain):
        if isinstance(error, ssl.SSLError):
            return error.reason or "TLS failed"
        if isinstance(error, OSError) and error.errno is not None and error.strerror:
            return error.strerror
        if isinstance(error, OSError) and str(error).startswith("Tunnel connection failed: "):
            return str(error).removeprefix("Tunnel connection failed: ")[:80]
    return "no reason was given"
