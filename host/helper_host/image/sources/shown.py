"""An image reference for people: nothing that may be a secret of a URL"""

from __future__ import annotations

import re

from helper_host import http
from helper_host.log import printable

PLAIN = re.compile(r"/.*|[A-Za-z0-9._+@~/-]*", re.DOTALL)
"""Paths, and names in the store."""


def shown(reference: str) -> str:
    """The reference; of a URL neither user, password, query nor fragment, also where it is mistyped"""
    if PLAIN.fullmatch(reference):
        return printable(reference)
    if re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]*://", reference):
        return http.shown(reference.strip())
    rest = re.split(r"[?#]", reference)[0]
    return printable(f"...{rest[rest.rindex('@') :]}" if "@" in rest else rest)


def without_secrets(text: str, reference: str) -> str:
    """`text` of a program that knows the `reference`, without what isn't shown of it"""
    from urllib.parse import unquote, urlsplit

    try:
        split = urlsplit(reference)
        secrets = {
            split.username or "",
            split.password or "",
            split.query,
            split.fragment,
            split.netloc.rpartition("@")[0],
        }
    except ValueError:
        return "..."
    secrets |= {unquote(secret) for secret in secrets}
    # from the longest: a shorter one may be a part of it
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "...")
    return text
