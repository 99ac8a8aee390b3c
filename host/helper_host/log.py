"""The node side's log: one record a line, on stderr, with nothing in it that could drive a terminal

Ganeti gathers stdout and stderr of a script into one file. Text that came from a guest or from an image is escaped
here, at the only place that writes, so no caller can forget it.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TextIO

LINE_MAX = 2000
"""Most characters of a record."""

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def printable(text: str) -> str:
    """`text` on one line: control, format (bidi), surrogate and separator characters escaped, length capped"""
    escaped = "".join(
        character if character == " " or character.isprintable() else character.encode("unicode_escape").decode()
        for character in text[: LINE_MAX + 1]
    )
    return escaped if len(escaped) <= LINE_MAX else f"{escaped[: LINE_MAX - 6]} [...]"


class Log:
    """Writes records at or above a level; `verbose` shows debug records"""

    def __init__(self, *, verbose: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream
        self.beside: Callable[[], AbstractContextManager[None]] | None = None
        """Makes room for a record while a progress bar is on the same terminal."""
        self._level = LEVELS["debug" if verbose else "info"]

    def record(self, level: str, message: str) -> None:
        """One record; every line of `message` becomes a record of its own"""
        if LEVELS[level] < self._level:
            return
        stream = self._stream or sys.stderr
        stamp = time.strftime("%H:%M:%S")
        mark = "" if level == "info" else f"{level}: "
        lines = [f"{stamp} {mark}{printable(line)}\n" for line in message.splitlines() or [""]]
        # a log that is full must not end a deployment, nor keep one that failed from wiping the disk
        beside = self.beside or contextlib.nullcontext
        with contextlib.suppress(OSError), beside():
            stream.write("".join(lines))
            stream.flush()

    def debug(self, message: str) -> None:
        """Shown when verbose"""
        self.record("debug", message)

    def info(self, message: str) -> None:
        """What an administrator wants to see"""
        self.record("info", message)

    def warning(self, message: str) -> None:
        """Went on, though not as hoped"""
        self.record("warning", message)

    def error(self, message: str) -> None:
        """The end, or close to it"""
        self.record("error", message)
