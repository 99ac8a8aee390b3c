"""TOML that anybody may have written"""

from __future__ import annotations

from typing import Any

DOTS_MAX = 1000
"""Most dots in a line, however it comes by them: tomllib takes time by the square of the parts of a key, half a minute
for the 100 KB that an OS parameter may have."""


def parse(document: bytes) -> dict[str, Any]:
    """The table in `document`

    Raises:
        ValueError: not TOML, not UTF-8, a number with thousands of digits, too much in one line or in each other
    """
    import tomllib

    for number, line in enumerate(document.split(b"\n"), 1):
        if line.count(b".") > DOTS_MAX:
            raise ValueError(f"more than {DOTS_MAX} dots in line {number}")
    try:
        return tomllib.loads(document.decode())
    except RecursionError:
        raise ValueError("lists or tables too deep in each other") from None
