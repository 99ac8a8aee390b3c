"""A process on a terminal of its own, and what a person sees there"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Sequence
from typing import Any

COLUMNS = 100
MOVES = re.compile(r"\x1b\[([0-9]*)([A-Z])|([\r\n])|([^\x1b\r\n]+)")


class Terminal:
    """A terminal that `start` puts a process on, whose output is read unless `reading` is false

    Args:
        start: gets the terminal's descriptor, for the process
    """

    def __init__(self, start: Callable[[int], subprocess.Popen[Any]], *, reading: bool = True) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        self.output = b""
        self.process = start(theirs)
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        if reading:
            self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                return
            if not data:
                return
            self.output += data

    def read_on(self) -> None:
        """From now on it is read"""
        self._reader.start()

    def wait(self, seconds: float = 30.0) -> int:
        """The exit code, when all its output is there"""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def until(self, condition: Callable[[str], object], seconds: float = 20.0) -> bool:
        """Whether what it has written by then is so"""
        from tests.host.deploying import wait_for

        return wait_for(lambda: condition(self.text), seconds)

    @property
    def text(self) -> str:
        """All that was written, as it came"""
        return self.output.decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        """What is on the screen now"""
        return screen(self.text)


def running(argv: Sequence[str], *, term: str = "xterm", pass_fds: Sequence[int] = ()) -> Callable[[int], Any]:
    """What starts `argv` on a terminal"""

    def start(terminal: int) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TERM": term}
        return subprocess.Popen(
            argv,
            env=environment,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            pass_fds=pass_fds,
        )

    return start


def screen(text: str) -> list[str]:
    """The lines that a terminal shows after `text`: a line is written over from where the cursor is"""
    rows: list[list[str]] = [[]]
    row = column = 0
    for count, move, control, plain in MOVES.findall(text):
        if move == "A":
            row = max(0, row - int(count or 1))
        elif move == "K":
            del rows[row][column:]
        elif move:
            raise AssertionError(f"this terminal does not know ESC [ {count}{move}")
        elif control == "\r":
            column = 0
        elif control == "\n":
            row += 1
            while len(rows) <= row:
                rows.append([])
        for character in plain:
            rows[row].extend(" " * (column + 1 - len(rows[row])))
            rows[row][column] = character
            column += 1
    return [line for line in ("".join(cells).rstrip() for cells in rows) if line]
