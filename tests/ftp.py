"""An FTP server in a thread: pyftpdlib, with a folder that can be read"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    # it stands on asyncore, which left Python with 3.12; from then on it brings a copy
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.servers import FTPServer

HOST = "127.0.0.1"


class Server:
    """Where it is, and who has come"""

    def __init__(self, port: int) -> None:
        self.port = port
        self.logins: list[tuple[str, str]] = []
        self.cut = 0
        """Bytes after which a connection for data ends; 0: when the file does."""

    def url(self, path: str, user: str = "") -> str:
        return f"ftp://{user}{HOST}:{self.port}{path}"


@contextmanager
def serving(folder: Path, *, password: str) -> Iterator[Server]:
    """For anonymous, and for `me` with the password"""
    authorizer = DummyAuthorizer()
    authorizer.add_anonymous(str(folder))
    authorizer.add_user("me", password, str(folder), perm="elr")

    class Data(DTPHandler):  # type: ignore[misc]  # no types
        def send(self, data: bytes) -> Any:
            sent = super().send(data)
            if server.cut and self.tot_bytes_sent > server.cut:
                self.cmd_channel.respond("426 Connection closed; transfer aborted.")
                self.close()
            return sent

    class Control(FTPHandler):  # type: ignore[misc]
        def on_login(self, username: str) -> None:
            server.logins.append((username, self.password))

    Control.authorizer = authorizer
    Control.dtp_handler = Data
    Control.auth_failed_timeout = 0.1
    Control.use_sendfile = False  # the kernel would count for itself
    ftpd = FTPServer((HOST, 0), Control)
    server = Server(int(ftpd.socket.getsockname()[1]))
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            ftpd.serve_forever(timeout=0.05, blocking=False)
        ftpd.close_all()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        ended.set()
        thread.join()
