"""YAML of plain data in block style, as much of it as network configuration needs; the helper has no library for it"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
"""Texts that need no quotes, but for `WORDS`."""
WORDS = ("true", "false", "yes", "no", "on", "off", "null", "y", "n")
"""What YAML 1.1 takes for something else than text."""


def dump(value: Mapping[str, Any]) -> str:
    """A document: mappings, lists, texts, whole numbers, booleans; the keys are texts"""
    return "".join(f"{line}\n" for line in _mapping(value))


def _mapping(value: Mapping[str, Any]) -> list[str]:
    lines = []
    for key, item in value.items():
        inner = _inner(item)
        if inner is None:
            lines.append(f"{_scalar(key)}: {_scalar(item)}")
        else:
            lines += [f"{_scalar(key)}:", *(f"  {line}" for line in inner)]
    return lines


def _list(value: Sequence[Any]) -> list[str]:
    lines = []
    for item in value:
        inner = _inner(item) or [_scalar(item)]
        lines += [f"- {inner[0]}", *(f"  {line}" for line in inner[1:])]
    return lines


def _inner(value: Any) -> list[str] | None:
    """The lines of what has some of its own, None for what goes behind its key"""
    if isinstance(value, Mapping) and value:
        return _mapping(value)
    return _list(value) if isinstance(value, (list, tuple)) and value else None


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) and value.lower() not in WORDS else _quoted(value)
    return "{}" if isinstance(value, Mapping) else "[]"


def _quoted(text: str) -> str:
    import json  # every JSON text is a YAML one, but for characters that JSON has as two halves

    return (
        '"' + "".join(json.dumps(each)[1:-1] if each < "\U00010000" else f"\\U{ord(each):08x}" for each in text) + '"'
    )
