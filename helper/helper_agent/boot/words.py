"""The words of a kernel's command line, as those take them who read it

The kernel itself (lib/cmdline.c, next_arg()): a double quote goes to the next one, or to the end of the line; nothing
else quotes. GRUB's scripts (script/yylex.l) quote as the shell does, and a quote that isn't closed is an error there:
such a text is refused rather than read. Entries that GRUB reads (blscfg) go through its script reader as well; they are
read as the kernel does, since systemd-boot reads the same files.
"""

from __future__ import annotations

import re

from helper_agent.api import TaskError

BLANKS = " \t\n\v\f\r"
"""The kernel's; more characters are blanks to Python."""

# No possessive groups: Python 3.11.2 goes on in the wrong place behind an alternative that was tried in vain
KERNEL = re.compile(rf'(?:[^{BLANKS}"]|"[^"]*(?:"|\Z))+')
GRUB = re.compile(rf"""(?s)(?:[^{BLANKS}"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
IN_QUOTES = re.compile(rf"""(?:[^{BLANKS}'\\]|\\[^"]|\\"(?:[^\\]|\\[^"])*\\"|'[^']*')+""")
"""GRUB's words in a text that is between double quotes, so that those in it have a backslash in front."""

SHOWN = 100
"""Characters of such a text."""


class Unclosed(Exception):
    """A text in which a quote isn't closed, or whose end is quoted by a backslash"""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text[:SHOWN])

    def at(self, path: str) -> TaskError:
        """The error for the file in which it is"""
        return TaskError(
            f"The kernel's command line in the image's {path} has a quote that isn't closed on its line, or goes on in"
            f" the next one, so that no argument can be changed: {self.text[:SHOWN]!r}",
            "correct the file in the image, or leave out kernel_args and serial_console",
        )


def split(text: str, reading: re.Pattern[str] = KERNEL) -> list[str]:
    """The words of `text`

    Args:
        reading: `KERNEL`, `GRUB`, or `IN_QUOTES`

    Raises:
        Unclosed: never with `KERNEL`
    """
    if reading.sub("", text).strip(BLANKS):
        raise Unclosed(text)
    return reading.findall(text)


def is_open(text: str) -> bool:
    """Whether what comes behind `text` would be quoted, for the kernel"""
    return text.count('"') % 2 == 1
