"""Passwords in shadow(5) and passwd(5): one field changed, every other byte kept"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.distros import nss_files, users
from helper_agent.root import Root

SHADOW = "/etc/shadow"
PARSERS: Mapping[str, nss_files.Parser] = {users.FILE: nss_files.passwd, SHADOW: nss_files.shadow}
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
    if not root.exists(SHADOW) and not root.is_symlink(SHADOW):
        _write(root, users.FILE, passwd, nss_files.changed_everywhere(passwd, name, {_HASH: hashed}))
        return None
    shadow = root.read_text_or(SHADOW)  # absent behind a symlink: made there
    expires = nss_files.number(_field(SHADOW, shadow, name, _EXPIRES) or "")
    changed = "" if today is None else str(today)
    edited = nss_files.changed_everywhere(shadow, name, {_HASH: hashed, _CHANGED: changed})
    # in passwd only, as after adduser by hand: shadow's numbers are useradd's defaults
    if nss_files.entry(shadow, nss_files.shadow, name) is None:
        newline = "" if not edited or edited.endswith("\n") else "\n"
        edited = f"{edited}{newline}{name}:{hashed}:{changed}:0:99999:7:::\n"
    _write(root, SHADOW, shadow, edited)
    # Anything but x here counts instead of shadow, an empty field as no password at all
    _write(root, users.FILE, passwd, nss_files.changed_everywhere(passwd, name, {_HASH: "x"}))
    return expires if expires is not None and expires < 2**31 else None  # glibc has an int there; below 0 is never


def of(root: Root, name: str) -> str | None:
    """What stands in the place of the user's hash: in shadow, or in passwd where that doesn't refer to it; None where
    the user is in neither

    Raises:
        TaskError: one of the files is a trap
    """
    field = _field(users.FILE, root.read_text_or(users.FILE), name, _HASH)
    return _field(SHADOW, root.read_text_or(SHADOW), name, _HASH) if field == "x" else field


def all_fields(root: Root) -> dict[str, str]:
    """Name -> what `of` says, for all users

    Raises:
        TaskError: one of the files is a trap
    """
    found, shadowed = (_hashes(path, root.read_text_or(path)) for path in (users.FILE, SHADOW))
    fields = {name: shadowed.get(name) if field == "x" else field for name, field in found.items()}
    return {name: field for name, field in fields.items() if field is not None}


def _hashes(path: str, text: str) -> dict[str, str]:
    return {name: fields[_HASH] for name, fields in nss_files.entries(text, PARSERS[path]).items()}


def replace(root: Root, name: str, hashed: str) -> None:
    """Put `hashed` into the place of the user's hash, with nothing else changed

    Raises:
        TaskError: one of the files is a trap
        OSError: it could not be written; the old one is still there
    """
    for path in (SHADOW, users.FILE):
        text = root.read_text_or(path)
        if path == SHADOW or _field(path, text, name, _HASH) != "x":
            _write(root, path, text, nss_files.changed_everywhere(text, name, {_HASH: hashed}))


def has_password(field: str | None) -> bool:
    """Whether somebody can log in with a password by what `of` says; no password at all counts, too"""
    return field is not None and not field.startswith(("!", "*"))


def _field(path: str, text: str, name: str, index: int) -> str | None:
    """A field of the line that counts for `name`, None where there is none"""
    fields = nss_files.entry(text, PARSERS[path], name)
    return None if fields is None else fields[index]


def _write(root: Root, path: str, before: str, after: str) -> None:
    if after != before:
        root.write(path, after, mode=None if before else 0o600)
