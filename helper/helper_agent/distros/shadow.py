"""Passwords in shadow(5) and passwd(5): one field changed, every other byte kept"""

from __future__ import annotations

from helper_agent.distros import users
from helper_agent.root import Root

SHADOW = "/etc/shadow"
_HASH = 1
_CHANGED = 2
_EXPIRES = 7


def set_password(root: Root, name: str, hashed: str, today: int | None) -> int | None:
    """Give the user `name`, who is in passwd, the hash `hashed`

    Args:
        today: days since 1970 for the date of the last change; None where the clock is wrong, then the date is removed,
            which switches password ageing off rather than demand a new password at once

    Returns:
        The day (since 1970) the account expires, None for never

    Raises:
        TaskError: one of the files is a trap
        OSError: it could not be written; the old one is still there
    """
    passwd = root.read_text(users.FILE)
    if not root.is_file(SHADOW) and not root.is_symlink(SHADOW):
        _write(root, users.FILE, passwd, _edited(passwd, name, {_HASH: hashed}))
        return None
    shadow = root.read_text_or(SHADOW)  # absent behind a symlink: made there
    expires = _field(shadow, name, _EXPIRES) or ""
    changed = "" if today is None else str(today)
    edited = _edited(shadow, name, {_HASH: hashed, _CHANGED: changed})
    if edited is None:  # in passwd only, as after adduser by hand: shadow's numbers are useradd's defaults
        newline = "" if not shadow or shadow.endswith("\n") else "\n"
        edited = f"{shadow}{newline}{name}:{hashed}:{changed}:0:99999:7:::\n"
    _write(root, SHADOW, shadow, edited)
    # Anything but x here counts instead of shadow, an empty field as no password at all
    _write(root, users.FILE, passwd, _edited(passwd, name, {_HASH: "x"}))
    return int(expires) if expires.isascii() and expires.isdigit() and len(expires) < 10 else None


def of(root: Root, name: str) -> str | None:
    """What stands in the place of the user's hash: in shadow, or in passwd where that doesn't refer to it; None where
    the user is in neither

    Raises:
        TaskError: one of the files is a trap
    """
    field = _field(root.read_text_or(users.FILE), name, _HASH)
    return _field(root.read_text_or(SHADOW), name, _HASH) if field == "x" else field


def all_fields(root: Root) -> dict[str, str]:
    """Name -> what `of` says, for all users

    Raises:
        TaskError: one of the files is a trap
    """
    found, shadowed = (_hashes(root.read_text_or(path)) for path in (users.FILE, SHADOW))
    fields = {name: shadowed.get(name) if field == "x" else field for name, field in found.items()}
    return {name: field for name, field in fields.items() if field is not None}


def _hashes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.split("\n"):
        name, *rest = line.rstrip("\r").split(":", 2)
        if rest:
            found.setdefault(name, rest[0])
    return found


def replace(root: Root, name: str, hashed: str) -> None:
    """Put `hashed` into the place of the user's hash, with nothing else changed

    Raises:
        TaskError: one of the files is a trap
        OSError: it could not be written; the old one is still there
    """
    for path in (SHADOW, users.FILE):
        text = root.read_text_or(path)
        if path == SHADOW or _field(text, name, _HASH) != "x":
            _write(root, path, text, _edited(text, name, {_HASH: hashed}))


def has_password(field: str | None) -> bool:
    """Whether somebody can log in with a password by what `of` says; no password at all counts, too"""
    return field is not None and not field.startswith(("!", "*"))


def _edited(text: str, name: str, fields: dict[int, str]) -> str | None:
    """`text` with `fields` of the first line of `name` set, None where there is no such line"""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        parts = line.split(":")
        if parts[0] == name and len(parts) > max(fields):
            for index, value in fields.items():
                parts[index] = value
            lines[number] = ":".join(parts)
            return "\n".join(lines)
    return None


def _field(text: str, name: str, index: int) -> str | None:
    """A field of the first line of `name`, None where there is none"""
    for line in text.split("\n"):
        parts = line.rstrip("\r").split(":")
        if parts[0] == name and len(parts) > index:
            return parts[index]
    return None


def _write(root: Root, path: str, before: str, after: str | None) -> None:
    if after is not None and after != before:
        root.write(path, after, mode=None if before else 0o600)
