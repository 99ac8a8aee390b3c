"""Parsers of values about the system's settings: pure, without I/O; see `values`"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from helper_host.ganeti import values
from helper_host.ganeti.environment import address_bits
from helper_host.ganeti.values import Invalid

if TYPE_CHECKING:
    from helper_host.documents import Document

ZONE = re.compile(r"[A-Za-z][A-Za-z0-9+_-]{0,40}(/[A-Za-z0-9][A-Za-z0-9+_-]{0,40}){0,2}")
"""Names of the time zone database: Europe/Berlin, America/Argentina/Salta, Etc/GMT+1, UTC."""
LOCALE = re.compile(r"(?:[a-z]{2,3}(?:_[A-Z]{2}|_[0-9]{3})?|C|POSIX)(?:\.[A-Za-z0-9-]{1,20})?(?:@[A-Za-z0-9]{1,20})?")
"""language_TERRITORY.CODESET@modifier (setlocale(3))."""
LAYOUT = re.compile(r"([a-z][a-z0-9_-]{1,30})(?::([A-Za-z0-9][A-Za-z0-9_-]{0,40}))?")
"""A layout of xkeyboard-config(7), and a variant."""
HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?")
"""Names in /etc/hosts; underscores are no names of hosts, but people have them."""
HOST_LINES_MAX = 1000


def timezone(text: str) -> str:
    """A time zone's name; whether the image has it is seen there"""
    zone = text.strip()
    if not ZONE.fullmatch(zone):
        raise Invalid("is not the name of a time zone", "give a name such as Europe/Berlin or UTC")
    return zone


def locale(text: str) -> str:
    """A locale's name; whether the image has it is seen there"""
    name = text.strip()
    if not LOCALE.fullmatch(name):
        raise Invalid("is not the name of a locale", "give a name such as de_DE.UTF-8 or C.UTF-8")
    return re.sub(r"\.utf-?8(?=@|\Z)", ".UTF-8", name, flags=re.IGNORECASE)


def keyboard(text: str) -> str:
    """LAYOUT or LAYOUT:VARIANT"""
    layout = text.strip()
    if not LAYOUT.fullmatch(layout):
        raise Invalid("is not a keyboard layout", "give a name such as de, or de:nodeadkeys for one of its variants")
    return layout


def hosts(text: str) -> tuple[str, ...]:
    """Lines for /etc/hosts, separated by newlines or by a literal `\\n`: addresses, and behind each its names"""
    lines = []
    for number, line in enumerate(filter(str.strip, re.split(r"\n|\\n", text)), 1):
        address, *names = line.partition("#")[0].split() or [""]
        if not address and line.strip().startswith("#"):
            continue
        if not address_bits(address):
            raise Invalid(
                f"has in line {number} {values.quote(address, 40)}, which is no IP address",
                "give lines such as: 192.0.2.7 db.example.org db",
            )
        wrong = next((name for name in names if not HOST.fullmatch(name)), None)
        if wrong is not None or not names:
            what = f"{values.quote(wrong, 40)}, which is no name" if wrong is not None else "an address without a name"
            raise Invalid(f"has in line {number} {what}", "give lines such as: 192.0.2.7 db.example.org db")
        lines.append(f"{address} {' '.join(names)}")
    if not lines or len(lines) > HOST_LINES_MAX:
        raise Invalid(f"has no line, or more than {HOST_LINES_MAX}", "give lines such as: 192.0.2.7 db.example.org db")
    return tuple(dict.fromkeys(lines))


def first_boot(text: str) -> str:
    """A script, as it is or in base64"""
    from helper_host import first_boot

    return first_boot.parse(text)


def first_boot_url(text: str) -> Document | None:
    """Where a script is"""
    from helper_host import first_boot

    return first_boot.parse_url(text)
