"""The list of URLs that images may come from: their beginnings (image_urls in the settings)

What is compared is the URL in its one plain form, without any `..` in it. A listed server may redirect to elsewhere, as
mirrors and stores of objects do: the list says whose word it is what an image is, so servers belong on it that don't
redirect to wherever they are asked to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.image.sources.shown import shown

if TYPE_CHECKING:
    from helper_host.image.sources.base import Places

ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
UNRESERVED = re.compile("[A-Za-z0-9._~-]")
"""RFC 3986 section 2.3: escaped or not, they mean the same."""


def check(url: str, places: Places) -> None:
    """Whether the list allows an image's URL

    Raises:
        ProviderError: E-IMAGE-MISSING
    """
    if not allows(url, places):
        raise ProviderError(
            "E-IMAGE-MISSING",
            f"image={shown(url)} does not begin as images may on this node ({', '.join(places.urls)})",
            "take it from there, or add its beginning to image_urls in the settings",
        )


def allows(url: str, places: Places) -> bool:
    """Whether there is no list, or it has a beginning of `url`"""
    plain = normal(url)
    return not places.urls or (
        not has_dots(plain) and any(plain.startswith(normal(beginning)) for beginning in places.urls)
    )


def has_dots(path: str) -> bool:
    """Whether . or .. is a part of it, decoded as often as some server on the way might"""
    return any(part in (".", "..") for part in re.split(r"[/\\]", unquote(unquote(path))))


def normal(url: str) -> str:
    """The URL in one form (RFC 3986 section 6.2.2): no user, no default port, nothing escaped that needn't be

    What the host's letters and the escapes of other schemes mean is their programs' business.
    """
    split = urlsplit(url)
    if split.scheme not in http.PORTS:
        return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"

    def plain(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if UNRESERVED.fullmatch(character) else match[0].upper()

    host = (split.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = "" if split.port in (None, http.PORTS[split.scheme]) else f":{split.port}"
    return f"{split.scheme}://{host}{port}{ESCAPE.sub(plain, split.path) or '/'}"
