"""A small HTTPS server with its own authority, in a thread: it serves what a test tells it, or misbehaves as told"""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import struct
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"

Answer = Callable[["Call"], None]


class Call(NamedTuple):
    """One request, and the connection to answer it on"""

    path: str
    head: str
    connection: socket.socket

    def say(self, data: bytes) -> None:
        self.connection.sendall(data)

    def header(self, name: str) -> str:
        lines = [line.partition(": ") for line in self.head.split("\r\n")[1:]]
        return next((value for key, _, value in lines if key.lower() == name.lower()), "")


class Server:
    """Answers by path; `calls` has what was asked"""

    def __init__(self, folder: Path, *, tls: bool = True, valid: bool = True, names: tuple[str, ...] = ()) -> None:
        """`names`: of hosts that its certificate is for, beside HOST"""
        self.answers: dict[str, Answer] = {}
        self.calls: list[Call] = []
        self.ended = threading.Event()
        """For answers that hang: set when the test is over."""
        self.ca_file = folder / "ca.pem"
        self._context = self._make_context(folder, valid, names) if tls else None
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.origin = f"{'https' if tls else 'http'}://{HOST}:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str) -> str:
        return self.origin + path

    def close(self) -> None:
        self.ended.set()
        with suppress(OSError):
            # close alone would leave the thread in accept(2), and the port open
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _make_context(self, folder: Path, valid: bool, names: tuple[str, ...]) -> ssl.SSLContext:
        key_file = make_certificate(folder, valid=valid, names=names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(key_file)
        return context

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                head = receive_head(connection)
                call = Call(head.split(" ")[1] if " " in head else "", head, connection)
                self.calls.append(call)
                self.answers.get(call.path, not_found)(call)


def receive_head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
        data += more
        if not data[:1].isalpha():
            break  # a TLS handshake with a server that has none
    return data.decode("latin-1")


def make_certificate(folder: Path, *, valid: bool, names: tuple[str, ...] = ()) -> Path:
    """A certificate for HOST, signed by itself; its key and itself are in the file, itself alone in ca.pem"""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test {uuid.uuid4()}")])
    now = datetime.datetime.now(datetime.UTC)
    host = HOST if valid else "192.0.2.1"
    hosts = [x509.IPAddress(ipaddress.ip_address(host)), *map(x509.DNSName, names)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(private + pem)
    return folder / "key.pem"


@contextmanager
def serving(folder: Path, *, tls: bool = True, valid: bool = True, names: tuple[str, ...] = ()) -> Iterator[Server]:
    folder.mkdir(exist_ok=True)
    server = Server(folder, tls=tls, valid=valid, names=names)
    try:
        yield server
    finally:
        server.close()


# --- answers ----------------------------------------------------------------------------------------------------------


def content(body: bytes, *, length: int | None = None, status: str = "200 OK") -> Answer:
    """`body`, announced with its length or another one"""
    announced = len(body) if length is None else length
    return lambda call: call.say(f"HTTP/1.1 {status}\r\nContent-Length: {announced}\r\n\r\n".encode() + body)


class File:
    """A file as good servers give it, whole or in part; and as bad ones do: see the attributes

    An answer for `Server.answers`; each call may fail in a way of its own, by its number.
    """

    def __init__(self, body: bytes, *, etag: str = '"one"', modified: str = "", ranges: bool = True) -> None:
        self.body = body
        self.etag = etag
        self.modified = modified
        self.date = "Sat, 21 Nov 2026 10:00:00 GMT"
        """What time the server says it is."""
        self.ranges = ranges
        """Whether parts can be had."""
        self.cuts: dict[int, int] = {}
        """Number of the call -> bytes of its body after which the connection ends."""
        self.resets = False
        """It ends with a reset."""
        self.stall: threading.Event | None = None
        """It doesn't end, but falls silent until then."""
        self.statuses: dict[int, str] = {}
        """Number of the call -> another status line and more headers."""
        self.extra = ""
        """More lines of the head, each with its CRLF."""
        self.said: int | None = None
        """A Content-Length that isn't so."""
        self.range_said = ""
        """A Content-Range that isn't so."""
        self.chunk = 0
        """Bytes of each chunk; 0: no chunks."""
        self.lower = False
        """Names of headers in lower case, as a proxy for HTTP/2 leaves them."""
        self.open_ended = False
        """No length is said."""
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self, call: Call) -> None:
        with self._lock:
            number = self.count
            self.count += 1
        if number in self.statuses:
            call.say(f"HTTP/1.1 {self.statuses[number]}\r\nContent-Length: 6\r\n\r\nCANARY".encode())
            return
        if (self.etag and self.etag in call.header("If-None-Match")) or (
            self.modified and not self.etag and call.header("If-Modified-Since") == self.modified
        ):
            call.say(f"HTTP/1.1 304 Not Modified\r\n{self._validators()}\r\n".encode())
            return
        status, start = self._place(call)
        body = self.body[start:]
        head = [f"HTTP/1.1 {status}\r\n", self._validators(), self.extra, "Connection: close\r\n"]
        if start or status.startswith("416"):
            place = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}" if body else f"bytes */{len(self.body)}"
            head.append(f"Content-Range: {self.range_said or place}\r\n")
        if self.chunk:
            head.append("Transfer-Encoding: chunked\r\n")
        elif not self.open_ended:
            head.append(f"Content-Length: {len(body) if self.said is None else self.said}\r\n")
        lines = "".join(head)
        call.say(((lines[:8] + lines[8:].lower()) if self.lower else lines).encode() + b"\r\n")
        self._send(call, body, self.cuts.get(number))

    def _place(self, call: Call) -> tuple[str, int]:
        asked = call.header("Range").removeprefix("bytes=")
        condition = call.header("If-Range")
        strong = self.etag if not self.etag.startswith("W/") else ""
        if not asked or not self.ranges or (condition and condition not in (strong, self.modified)):
            return "200 OK", 0
        start = int(asked.partition("-")[0])
        return ("206 Partial Content", start) if start < len(self.body) else ("416 Range Not Satisfiable", start)

    def _validators(self) -> str:
        lines = (("ETag", self.etag), ("Last-Modified", self.modified), ("Date", self.date))
        return "".join(f"{name}: {value}\r\n" for name, value in lines if value)

    def _send(self, call: Call, body: bytes, cut: int | None) -> None:
        sent = body if cut is None else body[:cut]
        if self.chunk:
            for start in range(0, len(sent), self.chunk):
                part = sent[start : start + self.chunk]
                call.say(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            if cut is None:
                call.say(b"0\r\n\r\n")
        else:
            call.say(sent)
        if cut is None:
            return
        if self.stall is not None:
            self.stall.wait(30)
        if self.resets:
            reset(call)


def reset(call: Call) -> None:
    """End the connection with an RST"""
    raw = call.connection
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # what TLS would still say is not said
    socket.socket(fileno=raw.detach()).close()


def redirect(place: str) -> Answer:
    return lambda call: call.say(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())


def not_found(call: Call) -> None:
    content(b"nothing here", status="404 Not Found")(call)


def endless(call: Call) -> None:
    """A body without a length and without an end"""
    call.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        call.say(bytes(65536))


def chunked(*chunks: bytes, whole: bool) -> Answer:
    def answer(call: Call) -> None:
        call.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in chunks:
            call.say(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        if whole:
            call.say(b"0\r\n\r\n")

    return answer


def stalling(server: Server, before: bytes) -> Answer:
    """Says `before`, and then nothing"""

    def answer(call: Call) -> None:
        call.say(before)
        server.ended.wait(30)

    return answer


def dripping(server: Server, before: bytes, each: bytes) -> Answer:
    """Says `before`, and then `each` ten times a second"""

    def answer(call: Call) -> None:
        call.say(before)
        while not server.ended.wait(0.1):
            call.say(each)

    return answer


def tunnel(call: Call) -> None:
    """A proxy's answer to CONNECT: bytes are passed on in both directions"""
    host, _, port = call.path.partition(":")
    tunnel_to(host, int(port))(call)


def tunnel_to(host: str, port: int) -> Answer:
    """The same to wherever the test likes, whatever host was asked for"""
    return lambda call: _tunnel(call, host, port)


def _tunnel(call: Call, host: str, port: int) -> None:
    with socket.create_connection((host, port)) as other:
        call.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_pass, args=(other, call.connection), daemon=True)
        back.start()
        _pass(call.connection, other)
        back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
