"""The serial console of an instance: all it prints is kept in a file, and a test can wait for text and type"""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path
from typing import NamedTuple

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\r")
ANSWER = re.compile(r"<<(\d+)>>")


class Answer(NamedTuple):
    """What a command typed at a shell printed, and its exit code"""

    returncode: int
    text: str


class Console:
    """A console on a Unix socket that QEMU listens at"""

    def __init__(self, path: Path, log: Path, *, patience: float = 20.0) -> None:
        self._socket = connect(path, patience)
        self._text = ""
        self._position = 0
        self._changed = threading.Condition()
        self._closed = False
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log.open("ab", buffering=0)
        self._reader = threading.Thread(target=self._read, name=f"console {path.name}", daemon=True)
        self._reader.start()

    def expect(self, pattern: str, *, timeout: float) -> re.Match[str]:
        """Waits for `pattern` in what was printed since the last match

        Raises:
            TimeoutError: with the console's last lines
            ConnectionError: the machine closed the console
        """
        deadline = time.monotonic() + timeout
        compiled = re.compile(pattern)
        with self._changed:
            while True:
                match = compiled.search(self._text, self._position)
                if match is not None:
                    self._position = match.end()
                    return match
                if self._closed:
                    raise ConnectionError(f"The console closed before {pattern!r} came: {self.tail()}")
                if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    raise TimeoutError(f"No {pattern!r} within {timeout:g} s: {self.tail()}")

    def type(self, text: str) -> None:
        """Types `text` and the enter key"""
        self._socket.sendall(f"{text}\n".encode())

    def login(self, user: str, password: str, *, timeout: float) -> None:
        """Logs in at the prompt that is there or comes

        Raises:
            PermissionError: the password is not the right one
        """
        self.expect(r"login: $", timeout=timeout)
        self.type(user)
        self.expect(r"Password: $", timeout=60)
        self.type(password)
        if self.expect(r"Login incorrect|[#$] $", timeout=60).group() == "Login incorrect":
            raise PermissionError(f"{user} could not log in at the console")

    def run(self, command: str, *, timeout: float = 60.0) -> Answer:
        """A command at the shell that `login` left"""
        self.type(f"({command}) 2>&1; echo '<<'$?'>>'")
        with self._changed:
            start = self._position
        match = self.expect(ANSWER.pattern, timeout=timeout)
        with self._changed:
            printed = self._text[start : match.start()]
        _, _, text = printed.partition("'>>'")
        self.expect(r"[#$] $", timeout=timeout)
        return Answer(int(match.group(1)), ESCAPES.sub("", text).strip())

    def tail(self, lines: int = 15) -> str:
        """The last lines it printed"""
        return "\n".join(ESCAPES.sub("", self._text).splitlines()[-lines:])

    def close(self) -> None:
        """Ends reading"""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._reader.join(5)
        self._socket.close()
        self._log.close()

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            with self._changed:
                if not data:
                    self._closed = True
                else:
                    self._log.write(data)
                    self._text += data.decode("utf-8", "replace")
                self._changed.notify_all()
            if not data:
                return


def connect(path: Path, patience: float) -> socket.socket:
    """Connects to a Unix socket that may not be there yet"""
    deadline = time.monotonic() + patience
    while True:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            end.connect(str(path))
        except OSError:
            end.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return end
