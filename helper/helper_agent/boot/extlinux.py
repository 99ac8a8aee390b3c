"""extlinux and syslinux: their configuration, and the files from which Alpine and Debian make it anew"""

from __future__ import annotations

import re
from collections.abc import Sequence

from helper_agent.boot import arguments, shell_settings
from helper_agent.boot.arguments import Change
from helper_agent.boot.words import Unclosed

PATHS = (
    "/boot/extlinux.conf",
    "/boot/extlinux/extlinux.conf",
    "/boot/syslinux/syslinux.cfg",
    "/boot/syslinux.cfg",
    "/extlinux.conf",
)
ALPINE = "/etc/update-extlinux.conf"
SOURCES = (ALPINE, "/etc/default/extlinux", "/etc/default/u-boot")
"""Files of settings: Alpine's, and those of Debian's packages extlinux and u-boot-menu."""

_APPEND = r"(?mi)^(?P<head>[ \t]*append[ \t]+)(?P<text>[^\r\n]*)"
VARIABLES = ("default_kernel_opts", "EXTLINUX_PARAMETERS", "U_BOOT_PARAMETERS")
"""Theirs with the command line, one each."""


def change(text: str, changes: Sequence[Change], consoles: Sequence[str]) -> str:
    """The configuration with its APPEND lines changed"""
    return arguments.changed(_APPEND, text, changes, consoles)


def has_append(text: str) -> bool:
    """Whether the configuration has a command line"""
    return re.search(_APPEND, text) is not None


def change_source(text: str, changes: Sequence[Change], consoles: Sequence[str]) -> str:
    """A file of settings, which a shell reads, with its command line changed; without such a line it stays as it is

    Raises:
        Unclosed
    """
    line = shell_settings.open_quote(text)
    if line:
        raise Unclosed(text.split("\n")[line - 1])
    for name in VARIABLES:
        texts = {"": text}
        if shell_settings.find(texts, name):
            texts = shell_settings.with_home(texts, name, "")
            text = shell_settings.changed(texts, (name,), changes, consoles).get("", text)
    return text


def with_serial(text: str, port: int, speed: int) -> str:
    """The configuration with a menu at a serial port as well; the line has to be the first one (syslinux' manual)"""
    wanted = f"SERIAL {port} {speed}\n"
    return text if text.startswith(wanted) else wanted + re.sub(r"(?mi)^[ \t]*serial[ \t][^\n]*\n", "", text)
