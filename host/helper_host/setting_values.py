"""Parsers of settings' values: each takes what TOML has and returns what it means; ValueError says what it must be"""

from __future__ import annotations


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
