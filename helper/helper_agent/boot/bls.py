"""Boot loader specification entries (/boot/loader/entries/*.conf) of GRUB and systemd-boot, and what they refer to

Enterprise Linux 8's entries say `options $kernelopts`, a variable in grubenv. New kernels get what is in
/etc/kernel/cmdline, where there is one, else what the running kernel was given.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from helper_agent.api import TaskError
from helper_agent.boot import arguments
from helper_agent.boot.arguments import Change

ENTRIES = (
    "/boot/loader/entries/*.conf",
    "/efi/loader/entries/*.conf",
    "/boot/efi/loader/entries/*.conf",
)
CMDLINES = ("/etc/kernel/cmdline", "/etc/cmdline.d/*.conf")
GRUBENVS = ("/boot/grub2/grubenv", "/boot/grub/grubenv", "/boot/efi/EFI/*/grubenv")
GRUBENV_SIZE = 1024
"""Bytes; GRUB writes into the file's blocks and never makes it longer."""

CMDLINE_MAX = 8192
"""Characters; the kernel takes 2048 or 4096."""

_OPTIONS = r"(?m)^(?P<head>[ \t]*options[ \t]+)(?P<text>[^\r\n]*)"
_KERNELOPTS = r"(?m)^kernelopts=(?P<text>[^\n]*)$"


def change(text: str, changes: Sequence[Change], consoles: Sequence[str]) -> str:
    """An entry with its options changed, all lines of them together; not where they are grubenv's"""
    found = list(re.finditer(_OPTIONS, text))
    if not found or any("$kernelopts" in match["text"] for match in found):
        return text
    values = arguments.both([match["text"] for match in found], changes, consoles)
    rest = iter(values)
    return re.sub(_OPTIONS, lambda match: match["head"] + next(rest), text)


def has_options(text: str) -> bool:
    """Whether an entry has options of its own, or refers to grubenv"""
    return re.search(_OPTIONS, text) is not None


def has_kernelopts(text: str) -> bool:
    """Whether grubenv has a command line"""
    return re.search(_KERNELOPTS, text) is not None


def is_cmdline(text: str) -> bool:
    """Whether /etc/kernel/cmdline has something in it that can be one"""
    return 0 < len(text.strip()) <= CMDLINE_MAX


def change_cmdline(text: str, changes: Sequence[Change], consoles: Sequence[str]) -> str:
    """/etc/kernel/cmdline with its words changed; a comment stays"""
    lines = text.split("\n")
    places = [index for index, one in enumerate(lines) if one.strip() and not one.lstrip().startswith("#")]
    if not places:
        return text
    values = arguments.both([lines[index] for index in places], changes, consoles)
    for index, value in zip(places, values, strict=True):
        lines[index] = value
    return "\n".join(lines)


def change_grubenv(text: str, changes: Sequence[Change], consoles: Sequence[str]) -> str:
    """grubenv with `kernelopts` changed, and as long as it has been

    Raises:
        TaskError: no room for it
    """
    match = re.search(_KERNELOPTS, text)
    if match is None:
        return text
    (value,) = arguments.both([match["text"]], changes, consoles)
    if value == match["text"]:
        return text
    body = (text[: match.start("text")] + value + text[match.end("text") :]).rstrip("#")
    if len(body) > GRUBENV_SIZE:
        raise TaskError("The kernel's arguments would not fit into the image's grubenv", "give fewer kernel_args")
    return body.ljust(GRUBENV_SIZE, "#")
