"""A small HTTP server of files in memory, with ETags, ranges and conditions, as slow as a test wants it"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

BLOCK = 1 << 16


class Asked(NamedTuple):
    """A request"""

    path: str
    start: int
    """Of the range it asked for."""
    conditional: bool
    status: int


class Server:
    """Serves `files`; `asked` has what was asked"""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self.rate = 0
        """Bytes a second of each answer; 0: as fast as it goes."""
        self.hold_at = -1
        """Bytes after which answers that begin now wait for `go`; -1: they don't."""
        self.go = threading.Event()
        self.validators = True
        """Whether it says ETags."""
        self.lengths = True
        """Whether it says lengths; else the body comes in chunks."""
        self.down = False
        """Whether it says 503 to everybody."""
        self.sent = 0
        """Bytes of bodies."""
        self._http = _Listener(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/image") -> str:
        """With a user and a query, as secret as they come"""
        return f"http://user:canary-pw@127.0.0.1:{self.port}{path}?token=canary-token"

    def gets(self) -> list[Asked]:
        """What was answered with bytes"""
        return [each for each in self.asked if each.status in (200, 206)]

    def close(self) -> None:
        """No more connections"""
        self.go.set()
        self._http.shutdown()
        self._http.server_close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: Server

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed are what this is for"""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Silence"""

    def do_GET(self) -> None:
        """One file, or the rest of it"""
        assert isinstance(self.server, _Listener)
        server = self.server.owner
        hold_at = server.hold_at
        path = self.path.partition("?")[0]
        content = server.files.get(path)
        tag = f'"{hashlib.sha256(content or b"").hexdigest()[:16]}"'
        conditional = "If-None-Match" in self.headers
        start = 0
        asked = self.headers.get("Range", "")
        if asked and self.headers.get("If-Range") == tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if server.down:
            status = 503
        elif content is None:
            status = 404
        elif self.headers.get("If-None-Match") == tag:
            status = 304
        elif asked and start >= len(content):
            status = 416
        else:
            status = 206 if start else 200
        server.asked.append(Asked(path, start, conditional, status))
        self.send_response(status)
        if server.validators and content is not None:
            self.send_header("ETag", tag)
        if status not in (200, 206):
            if status == 416:
                self.send_header("Content-Range", f"bytes */{len(content or b'')}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        assert content is not None
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._send(server, content, start, hold_at)
        except OSError:
            self.close_connection = True

    def _send(self, server: Server, content: bytes, start: int, hold_at: int) -> None:
        began = time.monotonic()
        for position in range(start, len(content), BLOCK):
            if 0 <= hold_at <= position:
                server.go.wait(60)
            block = content[position : position + BLOCK]
            self.wfile.write(block if server.lengths else b"%x\r\n%b\r\n" % (len(block), block))
            server.sent += len(block)
            if server.rate:
                time.sleep(max(0.0, began + (position + len(block) - start) / server.rate - time.monotonic()))
        if not server.lengths:
            self.wfile.write(b"0\r\n\r\n")


@contextmanager
def serving() -> Iterator[Server]:
    """A server with nothing on it"""
    server = Server()
    try:
        yield server
    finally:
        server.close()
