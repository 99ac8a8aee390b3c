"""Changes of an fstab(5) that leave every other byte of it alone: comments, columns, line ends, lines without sense

The text comes from `root.edit("/etc/fstab", lambda text: fstab_edit.add(text, ...))`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from helper_agent.disk.fstab import Entry, decoded, parse, tag

NOWHERE = ("none", "swap", "")
"""What stands in the place of a mount point where there is none."""

_FIELD = r"(\s*)(\S+)"


def line(entry: Entry, check: int = 0) -> str:
    """`entry` as a line, without its end

    Args:
        check: the order in which fsck looks at it: 1 for the root, 2 for others, 0 never
    """
    fields = [entry.device, entry.path or "none", entry.type, ",".join(entry.options) or "defaults"]
    return " ".join([*(_encoded(field) for field in fields), "0", str(check)])


def add(text: str, entry: Entry, *, check: int = 0) -> str:
    """`text` with a line for `entry`: in the place of the one that has its mount point, else as the last one

    Swap has no mount point and goes by its device. A line that says the same stays as it is, to its last column.
    """
    lines = _lines(text)
    for index, old in enumerate(lines):
        found = _entry(old)
        if found is None or not _same_place(found, entry):
            continue
        if found != entry:
            lines[index] = line(entry, check) + _end(old)
        return "".join(lines)
    end = "\r\n" if text.endswith("\r\n") else "\n"
    gap = end if text and not text.endswith("\n") else ""
    return f"{text}{gap}{line(entry, check)}{end}"


def replace_device(text: str, mapping: Mapping[str, str]) -> str:
    """`text` with other devices in its first column

    Args:
        mapping: such as "UUID=1234-ABCD" or "/dev/sda1" -> what stands there from now on. /dev/disk/by-uuid/1234-ABCD
            and UUID="1234-abcd" are found by UUID=1234-ABCD, and keep their form where the new one is a UUID as well
    """
    wanted = {_folded(old): new for old, new in mapping.items()}
    return "".join(_with_device(one, wanted) for one in _lines(text))


def _with_device(line_: str, wanted: Mapping[str, str]) -> str:
    match = re.match(_FIELD, line_)
    if match is None or match[2].startswith("#"):
        return line_
    field = match[2]
    new = wanted.get(_folded(decoded(field)))
    if new is None:
        return line_
    return match[1] + _in_form(field, new) + line_[match.end() :]


def _in_form(old: str, new: str) -> str:
    """`new` written as `old` is, where both are of the same kind"""
    kind, separator, value = new.partition("=")
    prefix = f"/dev/disk/by-{kind.lower()}/"
    if separator and old.startswith(prefix):
        return prefix + _encoded(value)
    quote = old[-1:] if old[-1:] in ("'", '"') else ""
    if separator and quote and old.partition("=")[0].lower() == kind.lower():
        return f"{kind}={quote}{_encoded(value)}{quote}"
    return _encoded(new)


def _folded(device: str) -> str:
    """One spelling for all that mean the same: tags as KEY=value, UUIDs in lower case"""
    kind, value = tag(device)
    return f"{kind.upper()}={value.lower() if kind.endswith('uuid') else value}" if kind else device


def _lines(text: str) -> list[str]:
    """With their ends; not str.splitlines, for which a form feed ends a line as well"""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _entry(line_: str) -> Entry | None:
    return next(iter(parse(line_)), None)


def _same_place(one: Entry, other: Entry) -> bool:
    if one.path in NOWHERE or other.path in NOWHERE or "swap" in (one.type, other.type):
        return (one.type, _folded(one.device)) == (other.type, _folded(other.device))
    return one.path.rstrip("/") == other.path.rstrip("/")


def _end(line_: str) -> str:
    return line_[len(line_.rstrip("\r\n")) :]


def _encoded(field: str) -> str:
    r"""With blanks, tabs, newlines and backslashes as \040 and so on, as getmntent(3) reads them"""
    return re.sub(r"[ \t\n\\#]", lambda match: f"\\{ord(match[0]):03o}", field)
