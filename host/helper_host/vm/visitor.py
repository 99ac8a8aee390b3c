"""A person at the helper's console: a Unix socket for the debug shell, one visitor at a time

Only where the settings ask for it (`debug_shell`). The socket is root's own; `socat -,rawer UNIX-CONNECT:PATH` enters.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Iterator

READ_SIZE = 4096


class Desk:
    """Listens at `path` and passes what a visitor types to `console`, and back what `show` is given

    A visitor who doesn't read misses output rather than hold up the run.
    """

    def __init__(self, path: str, console: int, selector: selectors.BaseSelector) -> None:
        self._path = path
        self._console = console
        self._selector = selector
        self._visitor: socket.socket | None = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        umask = os.umask(0o177)
        try:
            self._listener.bind(path)
        finally:
            os.umask(umask)
        self._listener.listen(1)
        self._selector.register(self._listener, selectors.EVENT_READ, self._welcome)

    def show(self, data: bytes) -> None:
        """What the guest printed"""
        if self._visitor is not None and data:
            with contextlib.suppress(OSError):
                self._visitor.send(data)

    def close(self) -> None:
        """Send everybody home and remove the socket"""
        self._part()
        self._selector.unregister(self._listener)
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _welcome(self, _: int) -> Iterator[object]:
        self._part()
        self._visitor = self._listener.accept()[0]
        self._visitor.setblocking(False)
        self._selector.register(self._visitor, selectors.EVENT_READ, self._listen)
        yield from ()

    def _listen(self, _: int) -> Iterator[object]:
        assert self._visitor is not None
        try:
            data = self._visitor.recv(READ_SIZE)
            os.write(self._console, data)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._part()
        yield from ()

    def _part(self) -> None:
        if self._visitor is not None:
            self._selector.unregister(self._visitor)
            self._visitor.close()
            self._visitor = None
