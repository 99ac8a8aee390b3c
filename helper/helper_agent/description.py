"""An image's own description: what its author wants deployments to know

A TOML file, in the image (`IN_IMAGE`) or beside it in the image store (FILE.toml). The image's author may be anybody,
so it only sets what is harmless to its reader: defaults that OS parameters and settings override.

    format = 1
    os_family = "linux"
    users = ["debian"]
    skip_tasks = ["host-keys"]
    min_disk = "4g"
    [options."org.example.motd"]
    owner = "example.org"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from helper_agent import toml
from helper_agent.protocol import IMAGE_DESCRIPTION
from helper_agent.records import NamedTuple
from helper_agent.strict_json import INT_MAX

FORMAT = 1
IN_IMAGE = IMAGE_DESCRIPTION
SIZE_MAX = 64 * 1024
"""Most bytes of a description."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
SIZE = re.compile(r"([1-9][0-9]{0,8})([mgtMGT]?)")
UNITS: Mapping[str, int] = {"": 1 << 20, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
"""Bytes; Ganeti's units of disk sizes, without one MiB."""


class DescriptionError(Exception):
    """A description that is none; the text follows the name of its file"""


class Description(NamedTuple):
    """What a description says; empty where it says nothing"""

    os_family: str = ""
    users: tuple[str, ...] = ()
    """Whom password and keys are for where nobody says otherwise: any task's option `users`."""
    skip_tasks: tuple[str, ...] = ()
    min_disk: int = 0
    """Bytes that the first disk must have."""
    image_tasks: bool = False
    """The image brings programs that replace tasks (/root/snf-image/helper), if the node's settings allow it."""
    options: Mapping[str, Mapping[str, Any]] = {}
    """Task -> option -> value."""
    remarks: tuple[str, ...] = ()
    """What was left out and why; for warnings, since the author may have written it for a later version."""


def parse(document: bytes) -> Description:
    """The description in a TOML `document`

    Raises:
        DescriptionError: not TOML, another format, or a value of the wrong type
    """
    if len(document) > SIZE_MAX:
        raise DescriptionError(f"has more than {SIZE_MAX} bytes")
    try:
        table = toml.parse(document)
    except ValueError as error:
        raise DescriptionError(f"is not TOML: {error}") from None
    if type(version := table.pop("format", None)) is not int or version != FORMAT:
        raise DescriptionError(f"doesn't say format = {FORMAT}")
    known = {name: table.pop(name) for name in (*_PARSERS, "options") if name in table}
    remarks = tuple(f"knows nothing of {name!r} here" for name in sorted(table))
    values: dict[str, Any] = {name: _PARSERS[name](name, value) for name, value in known.items() if name in _PARSERS}
    return Description(**values, options=task_options(known.get("options", {}), "options"), remarks=remarks)


def _text(name: str, value: object) -> str:
    if type(value) is not str or not NAME.fullmatch(value):
        raise DescriptionError(f"has {name} = {_shown(value)}, which is no name")
    return value


def _shown(value: object) -> str:
    try:
        return f"{value!r:.80}"
    except ValueError:  # Python refuses to spell numbers of thousands of digits
        return "a very long number"
    except RecursionError:
        return "tables too deep in each other"


def _names(name: str, value: object) -> tuple[str, ...]:
    if type(value) is not list or not value:
        raise DescriptionError(f"has {name} = {_shown(value)}, which is no list of names")
    return tuple(_text(name, item) for item in value)


def _size(name: str, value: object) -> int:
    match = SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise DescriptionError(f'has {name} = {_shown(value)}, which is no size such as "4g"')
    return int(match[1]) * UNITS[match[2].lower()]


def _flag(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise DescriptionError(f"has {name} = {_shown(value)}, which is neither true nor false")
    return value


def task_options(value: object, table: str) -> dict[str, Mapping[str, Any]]:
    """Task -> option -> value from the TOML table of that name; also of the node's settings

    Raises:
        DescriptionError
    """
    if not isinstance(value, Mapping):
        raise DescriptionError(f"has {table} that are no tables [{table}.TASK]")
    flat: dict[str, dict[str, Any]] = {}
    try:
        _flatten(value, table, "", flat)
    except RecursionError:
        raise DescriptionError(f"has {table} in tables too deep in each other") from None
    return dict(flat)


def _flatten(value: Mapping[str, Any], table: str, task: str, into: dict[str, dict[str, Any]]) -> None:
    """[options.org.example.motd] is a table in a table in a table: TOML reads unquoted dots so"""
    for name, item in value.items():
        if isinstance(item, Mapping):
            _flatten(item, table, f"{task}.{name}" if task else name, into)
        elif not task:
            raise DescriptionError(f"has the option {name!r} of no task; write [{table}.TASK]")
        elif type(item) not in (str, int, bool) and not (type(item) is list and all(type(one) is str for one in item)):
            raise DescriptionError(f"has for {task}.{name} no text, number, truth value or list of texts")
        elif type(item) is int and abs(item) > INT_MAX:
            raise DescriptionError(f"has for {task}.{name} a number that is too large")
        else:
            into.setdefault(task, {})[name] = item


_PARSERS = {"os_family": _text, "users": _names, "skip_tasks": _names, "min_disk": _size, "image_tasks": _flag}
