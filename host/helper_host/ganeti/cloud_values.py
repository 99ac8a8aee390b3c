"""Parsers of the OS parameters for cloud-init: pure, nothing is fetched"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from helper_host.ganeti import cloud_mime, values
from helper_host.ganeti.values import Invalid

if TYPE_CHECKING:
    from helper_host.documents import Document

SIZE_MAX = 1 << 20
"""Bytes of user data or vendor data; clouds take 16 to 64 KiB."""
CODED = "base64:"
OWN_KEYS = ("instance-id", "instance_id")


class Part(NamedTuple):
    """User data, or one part of it"""

    content: bytes

    def __repr__(self) -> str:
        return f"Part({len(self.content)} bytes)"


class Seed(NamedTuple):
    """Where cloud-init's data is put"""

    place: str
    """image, disk, or partition."""
    disk: int = 0
    """Ganeti's index of the disk, 0 for the last of several."""


def mode(text: str) -> str:
    """yes, no, or "" for auto"""
    value = text.strip().lower()
    if value not in ("auto", "yes", "no"):
        raise Invalid("is not known", "give one of auto, yes, no")
    return "" if value == "auto" else value


def seed(text: str) -> Seed:
    """Where the seed is"""
    value = text.strip()
    if value in ("image", "disk", "partition"):
        return Seed(value)
    match = re.fullmatch(r"disk:([1-9][0-9]?)", value, re.ASCII)
    if match is None:
        raise Invalid(
            "is not known", "give one of image, disk, partition, or for example disk:1 (disk 0 is the system's)"
        )
    return Seed("disk", int(match[1]))


def network(text: str) -> str:
    """v2, v1, or no"""
    value = text.strip().lower()
    if value not in ("v2", "v1", "no"):
        raise Invalid("is not known", "give one of v2, v1, no")
    return value


def user_data(text: str) -> Part:
    """User data as it is, or in base64

    Raises:
        Invalid: with nothing of the value in it
    """
    if text.lstrip().startswith(CODED):
        return base64_data(text.strip().removeprefix(CODED))
    return checked(text.replace("\r\n", "\n").encode())


def base64_data(text: str) -> Part:
    """User data in base64, as snf-image has it"""
    try:
        content = values.base64(text)
    except ValueError:
        raise Invalid("is damaged base64", f"give {CODED} and what `base64 -w0 FILE` prints") from None
    return checked(content)


def checked(content: bytes) -> Part:
    """What cloud-init will understand"""
    if len(content) > SIZE_MAX:
        raise Invalid(f"has more than {SIZE_MAX >> 10} KiB", "let it #include what is large")
    if not cloud_mime.kind(content):
        raise Invalid(
            "is of no form that cloud-init knows",
            "begin it with #cloud-config, with #! for a script, or with #include for URLs",
        )
    return Part(content)


def urls(text: str) -> tuple[Document, ...]:
    """Where more of it is"""
    from helper_host import user_data

    return user_data.parse(text)


def meta_data(text: str) -> str:
    """A JSON object, as one line"""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid(
            "is not JSON", 'give a JSON object, its commas as \\, on the command line: {"rack":"a7"}'
        ) from None
    if not isinstance(found, dict):
        raise Invalid("is JSON, but no object", 'give for example {"rack":"a7"}')
    for name in OWN_KEYS:
        if name in found:
            raise Invalid(f"has {name}, which is the instance's UUID", "leave it out")
    return json.dumps(found)
