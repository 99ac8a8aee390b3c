"""Parsers of settings' values: each takes what TOML has and returns what it means; ValueError says what it must be"""

from __future__ import annotations

import re


def folder(value: object) -> str:
    """An absolute path"""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or ".." in value.split("/"):
        raise ValueError("must be an absolute path")
    return value.rstrip("/") or "/"


def folders(value: object) -> tuple[str, ...]:
    """Absolute paths"""
    if not isinstance(value, list):
        raise ValueError('must be a list of absolute paths, such as ["/srv/images"]')
    return tuple(folder(item) for item in value)


def flag(value: object) -> bool:
    """true or false"""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def accel(value: object) -> str:
    """How QEMU runs the helper"""
    if value not in ("auto", "kvm", "tcg"):
        raise ValueError('must be "auto", "kvm" or "tcg"')
    return str(value)


def memory(value: object) -> int:
    """MiB, 0 for what fits the disk"""
    if type(value) is not int or not (value == 0 or 128 <= value <= 1 << 20):
        raise ValueError("must be a number of MiB, 128 or more, or 0")
    return value


def seconds(value: object) -> float:
    """A time limit"""
    if type(value) not in (int, float) or not 0 < value <= 1e6:  # type: ignore[operator]
        raise ValueError("must be a number of seconds, more than 0")
    return float(value)  # type: ignore[arg-type]


def optional_folder(value: object) -> str:
    """An absolute path, or "" for none"""
    return "" if value == "" else folder(value)


def proxy(value: object) -> str:
    """A proxy's URL, or "" for none"""
    # its form is looked at when it is used: an error here quotes the value, which may have a password in it
    if not isinstance(value, str):
        raise ValueError("must be a URL such as http://proxy.example.org:3128")
    return value.strip()


def hosts(value: object) -> tuple[str, ...]:
    """Names of hosts and domains"""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of hosts and domains, such as [".example.org"]')
    return tuple(value)


def count(value: object) -> int:
    """A whole number, 0 or more"""
    if type(value) is not int or not 0 <= value <= 1 << 40:
        raise ValueError("must be a whole number, 0 or more")
    return value


def duration(value: object) -> float:
    """Seconds, or 0"""
    if type(value) in (int, float) and value == 0:
        return 0.0
    try:
        return seconds(value)
    except ValueError:
        raise ValueError("must be a number of seconds, 0 or more") from None


def require(value: object) -> str:
    """What images must have"""
    if value not in ("none", "checksum", "signature"):
        raise ValueError('must be "none", "checksum" or "signature"')
    return str(value)


def urls(value: object) -> tuple[str, ...]:
    """Beginnings of URLs, each with a whole host"""
    from urllib.parse import urlsplit

    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('must be a list of URLs, such as ["https://images.example.org/"]')
    for item in value:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s@?#]+/[^\s?#]*", item):
            raise ValueError(f"has {item!r} in it, which is not a URL with a slash after its host")
        try:
            urlsplit(item).port  # noqa: B018  it is read when it is asked for
        except ValueError:
            raise ValueError(f"has {item!r} in it, which is not a URL") from None
    return tuple(value)


def programs(value: object) -> dict[str, str]:
    """Scheme -> absolute path of a program"""
    if not isinstance(value, dict):
        raise ValueError('must be a table, such as { s3 = "/usr/local/lib/fetch-s3" }')
    for scheme in value:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) or scheme in ("http", "https", "file", "local"):
            raise ValueError(f"has {scheme!r} in it, which is not a further scheme")
    return {scheme: folder(path) for scheme, path in value.items()}


def headers(value: object) -> dict[str, dict[str, str]]:
    """Host -> header -> value; errors don't quote values, which may be secret"""
    example = 'must be a table, such as { "images.example.org" = { Authorization = "Bearer ..." } }'
    if not isinstance(value, dict):
        raise ValueError(example)
    result = {}
    for host, table in value.items():
        if not isinstance(table, dict):
            raise ValueError(example)
        for name, text in table.items():
            if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
                raise ValueError(f"has a header {name!r} for {host}, which is not a header's name")
            if not isinstance(text, str) or not text.isascii() or not text.isprintable():
                raise ValueError(f"has a header {name} for {host} whose value is not one line of ASCII text")
        result[host.lower()] = dict(table)
    return result
