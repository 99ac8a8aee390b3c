"""Lines of passwd(5), group(5) and shadow(5) as glibc reads them (nss/nss_files/files-parse.c, shadow/sgetspent_r.c)

Which of two lines with one name counts decides whose password is set: the first that glibc can read. Blanks before a
name, comments, a line of three fields, a number with a sign: what is a line there is one here, and nothing else. A line
of NIS (+, -) is none. musl's reading differs in lines that no program writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

BLANKS = " \t\n\v\f\r"
NO_ID = 2**32 - 1
"""-1 as the kernel has it: a number for glibc, and no user's or group's."""

Parser = Callable[[str], list[str] | None]
"""Fields of a line, as many as the file has; those that are left out are empty. None where it is no line."""


def passwd(line: str) -> list[str] | None:
    """name, password, uid, gid, gecos, home, shell, which has the rest; what is behind the numbers may be left out"""
    fields = _fields(line, 7)
    return fields if fields and None not in map(number, fields[2:4]) else None


def group(line: str) -> list[str] | None:
    """name, password, gid, members, which have the rest and may be left out"""
    fields = _fields(line, 4)
    return fields if fields and number(fields[2]) is not None else None


def shadow(line: str) -> list[str] | None:
    """name, password, and seven numbers, which may be empty; the last four may be left out together"""
    fields = _fields(line, 10)
    given = _body(line).count(":") + 1
    if not fields or given < 5 or given > 9:
        return None
    fields.pop()
    fields[5] = fields[5].lstrip(BLANKS)
    # where a number is expected, the line must not be at its end
    old = (given == 5 and fields[4]) or (given == 6 and not fields[5])
    if not (old or given == 9 or (given == 8 and fields[7])):
        return None
    return fields if all(not field or number(field) is not None for field in fields[2:]) else None


def members(text: str) -> tuple[str, ...]:
    """Names in a group's last field"""
    return tuple(filter(None, (name.lstrip(BLANKS) for name in text.split(","))))


def number(text: str) -> int | None:
    """What strtoul(3) makes of a whole field; None for what is none, or has more than 32 bits"""
    match = re.fullmatch(rf"[{BLANKS}]*([+-]?)0*([0-9]{{1,20}})", text)
    if match is None or int(match[2]) >= 2**64:
        return None
    value = int(match[2])
    value = -value % 2**64 if match[1] == "-" else value
    return value if value <= NO_ID else None


def entries(text: str, parser: Parser) -> dict[str, list[str]]:
    """Name -> fields of the line that counts"""
    found: dict[str, list[str]] = {}
    for line in text.split("\n"):
        if (fields := parser(line)) is not None:
            found.setdefault(fields[0], fields)
    return found


def entry(text: str, parser: Parser, name: str) -> list[str] | None:
    """Fields of the line that counts for `name`"""
    lines = (line for line in text.split("\n") if name in line)
    return next((fields for line in lines if (fields := parser(line)) and fields[0] == name), None)


def changed(text: str, parser: Parser, name: str, field: int, value: str) -> str:
    """`text` with one field of the line that counts for `name` set, and every other byte kept

    Args:
        field: its index; a last field that has the rest is replaced as a whole
    """
    lines = text.split("\n")
    for index, line in enumerate(lines):
        fields = parser(line)
        if fields is None or fields[0] != name:
            continue
        body = line.partition("\0")[0]
        parts = body.split(":", len(fields) - 1)
        parts += [""] * (field + 1 - len(parts))
        parts[field] = value
        lines[index] = ":".join(parts) + line[len(body) :]
        break
    return "\n".join(lines)


def changed_everywhere(text: str, name: str, values: Mapping[int, str]) -> str:
    """`text` with fields of all lines that begin with `name` set, as far as they have them, and every other byte kept

    For passwords: which of them counts is another one to musl and to older versions of glibc.

    Args:
        values: index of the field -> what it is to be
    """
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if name not in line or _body(line).partition(":")[0] != name:
            continue
        body = line.partition("\0")[0]
        parts = body.split(":")
        for place, value in values.items():
            if place < len(parts):
                parts[place] = value
        lines[index] = ":".join(parts) + line[len(body) :]
    return "\n".join(lines)


def _body(line: str) -> str:
    """What of a line is read; "" for a comment"""
    body = line.partition("\0")[0].lstrip(BLANKS)
    return "" if body.startswith(("#", "+", "-")) else body


def _fields(line: str, count: int) -> list[str]:
    """`count` fields, the last one with the rest; none for what has no name"""
    fields = _body(line).split(":", count - 1)
    return fields + [""] * (count - len(fields)) if fields[0] else []
