"""Values of the OS parameters that put files into the image

file0=/etc/motd=Welcome\\nto this machine
file1=/etc/app.conf:0640:root:www-data=@app.conf
file2=/etc/app.key:0600=base64:c2VjcmV0Cg==
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from helper_host.ganeti import values
from helper_host.ganeti.values import Invalid

ITEM = re.compile(
    r"(?P<path>/[^:=\0]+)(:(?P<mode>[0-7]{0,4})(:(?P<owner>[^:=\s]*)(:(?P<group>[^:=\s]*))?)?)?=(?P<content>.*)",
    re.DOTALL,
)
ESCAPE = re.compile(r"\\([nt\\])")
ESCAPES = {"n": "\n", "t": "\t", "\\": "\\"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
OWNER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|[0-9]{1,10}")
MODE, PERSONALITY_MODE = 0o644, 0o440
PERSONALITY_FOLDER = 0o750
"""What snf-image makes folders with that lack."""
FILES_MAX = 1000
CLEANUP = ("no", "auto", "full")
FORM = (
    "give PATH[:MODE[:OWNER[:GROUP]]]=TEXT, with an absolute path and an octal mode; instead of the text base64:... or"
    " @NAME of a file on the node"
)
LIST_FORM = 'give a JSON list such as [{"path":"/etc/motd"\\,"contents":"aGVsbG8K"}]'


class File(NamedTuple):
    """One file to put into the image"""

    path: str
    mode: int
    owner: int | str
    group: int | str
    content: bytes = b""
    name: str = ""
    """Of the file on the node that has the content; "": `content` is it."""
    folder_mode: int = 0o755
    """Of folders that lack."""

    def __repr__(self) -> str:
        return f"File({self.path})"


def file(text: str) -> File | None:
    """One file; errors quote nothing, as it may be a secret"""
    match = ITEM.fullmatch(text.strip(" "))
    if match is None:
        raise Invalid("is not PATH[:MODE[:OWNER[:GROUP]]]=TEXT", FORM)
    owner = _owner(match["owner"] or "0")
    group = _owner(match["group"] or ("" if isinstance(owner, str) else "0"))
    made = File(_path(match["path"]), int(match["mode"] or f"{MODE:o}", 8), owner, group)
    content = match["content"]
    if content.startswith("@"):
        if not NAME.fullmatch(content[1:]):
            raise Invalid("has something behind the @ that is no file's name", FORM)
        return made._replace(name=content[1:])
    if content.startswith("base64:"):
        return made._replace(content=_base64(content.removeprefix("base64:")))
    plain = ESCAPE.sub(lambda found: ESCAPES[found[1]], content)
    return made._replace(content=(plain if plain.endswith("\n") or not plain else f"{plain}\n").encode())


def personality(text: str) -> tuple[File, ...]:
    """snf-image's JSON list of {path, contents, owner, group, mode}; contents is base64, mode a decimal number"""
    try:
        items = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise Invalid("is not JSON", LIST_FORM) from None
    if not isinstance(items, list) or len(items) > FILES_MAX:
        raise Invalid(f"is JSON, but no list of at most {FILES_MAX} files", LIST_FORM)
    return tuple(_personal(item) for item in items)


def overlays(text: str) -> tuple[str, ...]:
    """Names of overlays; which there are is seen later"""
    names = values.words(text)
    for name in names:
        if not NAME.fullmatch(name):
            raise Invalid("has something in it that is no overlay's name", "give names such as: web")
    return names


def cleanup(text: str) -> str:
    """What is removed"""
    level = text.strip().lower()
    if level not in CLEANUP:
        raise Invalid("is not known", f"give one of {', '.join(CLEANUP)}")
    return level


def _personal(item: Any) -> File:
    if not isinstance(item, dict) or not isinstance(item.get("path"), str) or not isinstance(item.get("contents"), str):
        raise Invalid("has a file without path or contents", LIST_FORM)
    mode = item.get("mode", PERSONALITY_MODE)
    if isinstance(mode, str) and mode.isascii() and mode.isdigit():
        mode = int(mode)
    if type(mode) is not int or not 0 <= mode <= 0o7777:
        raise Invalid("has a mode that is none", "give it as a decimal number: 288 is 0440, 420 is 0644")
    owner, group = (_owner(str(item.get(name) or "0")) for name in ("owner", "group"))
    path = _path(item["path"] if item["path"].startswith("/") else f"/{item['path']}")
    return File(path, mode, owner, group, _base64(item["contents"]), folder_mode=PERSONALITY_FOLDER)


def _path(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or path.endswith("/") or not path.isprintable():
        raise Invalid("has a path that is no file's", "give an absolute path without ..")
    return "/" + "/".join(parts)


def _owner(name: str) -> int | str:
    if name and not OWNER.fullmatch(name):
        raise Invalid("has an owner or group that is none", "give names such as www-data, or numbers")
    return int(name) if name.isdigit() else name


def _base64(text: str) -> bytes:
    try:
        return values.base64(text)
    except ValueError:
        raise Invalid("has contents that are no base64", "give what `base64 -w0 FILE` prints") from None
