"""grub.cfg itself, the script that GRUB runs at boot: its kernels' command lines and its terminals, edited in place

The file says "do not edit", because the next update-grub makes it anew; with the same change in grub's settings it
comes to the same. Editing runs nothing of the image and takes milliseconds, where update-grub takes seconds.
GRUB Legacy's menu.lst is the same with other words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from helper_agent.boot import arguments, words
from helper_agent.boot.arguments import Change

PATHS = (
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/efi/EFI/*/grub.cfg",
    "/boot/EFI/*/grub.cfg",
    "/efi/EFI/*/grub.cfg",
    "/boot/grub/custom.cfg",
    "/boot/grub2/custom.cfg",
)
LEGACY = ("/boot/grub/menu.lst", "/boot/grub/grub.conf")

# kernelopts: Enterprise Linux 8's fallback for a grubenv that was lost
_LINUX = r"(?m)^(?P<head>[ \t]*(?:linux|linux16|linuxefi)[ \t]+\S+[ \t]+)(?P<text>[^\r\n]*)"
_KERNEL = r"(?m)^(?P<head>[ \t]*kernel[ \t]+\S+[ \t]+)(?P<text>[^\r\n]*)"
_FALLBACK = r'(?m)^(?P<head>[ \t]*set[ \t]+kernelopts=")(?P<text>(?:[^"\\\r\n]|\\[^\r\n])*)(?=")'
_COMMAND = re.compile(r"""(?:\$\{[^}]*\}|[^"'\\{}|&;<>#]|(?<=[^ \t])#|\\.|"(?:[^"\\]|\\.)*"|'[^']*')*""")
"""As far as the command goes (script/yylex.l): a comment may be behind it, or another command."""
# Indented ones may be all that an `if` has in it
_TERMINAL = r"(?m)^terminal_(?:input|output)\b[^\n]*\n"
_SERIAL = r"(?m)^serial\b[^\n]*\n"
_ENTRY = r"(?m)^[ \t]*(?:menuentry|submenu|blscfg|### BEGIN /etc/grub\.d/(?!00_))"


def change(text: str, changes: Sequence[Change], consoles: Sequence[str]) -> str:
    """grub.cfg with its kernels' command lines changed

    Raises:
        Unclosed: a quote that goes on in the next line
    """

    def replaced(match: re.Match[str]) -> str:
        line, rest = _parted(match["text"])
        (value,) = arguments.both([line], changes, consoles, words.GRUB)
        return match["head"] + value + rest

    text = re.sub(_LINUX, replaced, text)
    return arguments.changed(_FALLBACK, text, changes, consoles, words.IN_QUOTES)


def change_legacy(text: str, changes: Sequence[Change], consoles: Sequence[str]) -> str:
    """menu.lst with its kernels' command lines changed"""
    return arguments.changed(_KERNEL, text, changes, consoles)


def _parted(text: str) -> tuple[str, str]:
    """A command's words, and what is behind the command in its line"""
    command = _COMMAND.match(text)
    line = (command[0] if command else "").rstrip(words.BLANKS)
    rest = text[len(line) :]
    return (text, "") if rest.strip(words.BLANKS).startswith(("'", '"', "\\")) else (line, rest)


def has_kernels(text: str) -> bool:
    """Whether grub.cfg has a command line to change"""
    return any(re.search(pattern, text) for pattern in (_LINUX, _FALLBACK))


def has_legacy_kernels(text: str) -> bool:
    """Whether menu.lst has a command line to change"""
    return re.search(_KERNEL, text) is not None


def with_terminal(text: str, command: str, terminals: str) -> str:
    """`text` in which GRUB uses `terminals` for input and output, the serial one set up by `command`

    In the place where grub-mkconfig has that: above the first entry.
    """
    wanted = f"{command}\nterminal_input {terminals}\nterminal_output {terminals}\n"
    entry = re.search(_ENTRY, text)
    head, rest = (text[: entry.start()], text[entry.start() :]) if entry else (text, "")
    first = re.search(_TERMINAL, head) or re.search(_SERIAL, head)
    at = first.start() if first else len(head)
    above, below = (re.sub(_SERIAL, "", re.sub(_TERMINAL, "", part)) for part in (head[:at], head[at:]))
    gap = "\n" if above and not above.endswith("\n") else ""
    return f"{above}{gap}{wanted}{below}{rest}"
