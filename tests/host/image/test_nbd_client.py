"""The NBD client against a server that does as it is told: answers out of order, errors, silence, nonsense"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from helper_host.image.nbd import client
from helper_host.image.nbd.client import Connection

SIZE = 64 << 20
ALL = 1 | client.SEND_FLUSH | client.SEND_WRITE_ZEROES | client.SEND_FAST_ZERO


class Request:
    """What came"""

    def __init__(self, flags: int, command: int, cookie: int, offset: int, length: int, data: bytes) -> None:
        self.flags, self.command, self.cookie = flags, command, cookie
        self.offset, self.length, self.data = offset, length, data


class Peer:
    """The server's end; what `serve` does with it runs in a thread"""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.seen: list[Request] = []

    def take(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            part = self.socket.recv(length - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def greet(self, size: int = SIZE, flags: int = ALL) -> None:
        self.socket.sendall(struct.pack(">QQH", client.NBDMAGIC, client.IHAVEOPT, 3))
        assert struct.unpack(">I", self.take(4)) == (3,)
        magic, option, length = struct.unpack(">QII", self.take(16))
        assert (magic, option) == (client.IHAVEOPT, client.OPT_GO)
        assert self.take(length) == bytes(6), "no name, no question"
        export = struct.pack(">HQH", client.INFO_EXPORT, size, flags)
        # something that nobody asked for, as servers may
        self.option(client.REP_INFO, struct.pack(">HIII", 3, 1, 4096, 1 << 25))
        self.option(client.REP_INFO, export)
        self.option(client.REP_ACK, b"")

    def option(self, kind: int, data: bytes) -> None:
        self.socket.sendall(struct.pack(">QIII", client.OPTION_REPLY, client.OPT_GO, kind, len(data)) + data)

    def request(self) -> Request:
        magic, flags, command, cookie, offset, length = struct.unpack(">IHHQQI", self.take(28))
        assert magic == client.REQUEST
        data = self.take(length) if command == client.WRITE else b""
        self.seen.append(Request(flags, command, cookie, offset, length, data))
        return self.seen[-1]

    def reply(self, request: Request, error: int = 0, data: bytes = b"") -> None:
        self.socket.sendall(struct.pack(">IIQ", client.REPLY, error, request.cookie) + data)


@contextmanager
def served(serve: Callable[[Peer], None], silence: float = 5.0) -> Iterator[tuple[Connection, Peer]]:
    ours, theirs = socket.socketpair()
    peer = Peer(theirs)

    def body() -> None:
        try:
            serve(peer)
        except ConnectionError:
            pass  # the client has closed

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    with theirs:
        connection = Connection(ours, silence)
        yield connection, peer
        connection.close()
        thread.join(5)
    assert not thread.is_alive()


def storage(peer: Peer, content: bytearray, flags: int = ALL) -> None:
    """A good server"""
    peer.greet(len(content), flags)
    while True:
        request = peer.request()
        end = request.offset + request.length
        data = b""
        match request.command:
            case client.DISCONNECT:
                return
            case client.READ:
                data = bytes(content[request.offset : end])
            case client.WRITE:
                content[request.offset : end] = request.data
            case client.WRITE_ZEROES:
                content[request.offset : end] = bytes(request.length)
        peer.reply(request, data=data)


def commands(peer: Peer) -> list[int]:
    return [request.command for request in peer.seen]


def test_what_is_written_can_be_read() -> None:
    content = bytearray(os.urandom(9 << 20))
    data = os.urandom(5 << 20)
    with served(lambda peer: storage(peer, content)) as (connection, peer):
        assert connection.size == 9 << 20 and not connection.read_only
        connection.write(memoryview(data), 12345)
        assert connection.zero(0, 100) and connection.zero(8 << 20, 1 << 20, fast=True)
        connection.flush()
        read = b"".join(bytes(piece) for piece in connection.read(connection.size, 1 << 20))
    assert read == content and content[12345 : 12345 + len(data)] == data
    assert not any(content[:100]) and not any(content[8 << 20 :])
    assert commands(peer)[:6] == [client.WRITE] * 3 + [client.WRITE_ZEROES] * 2 + [client.FLUSH]
    assert commands(peer)[-1] == client.DISCONNECT
    assert max(request.length for request in peer.seen if request.command == client.WRITE) == client.REQUEST_MAX
    assert [request.flags for request in peer.seen if request.command == client.WRITE_ZEROES] == [0, client.FAST_ZERO]


def test_zeros_are_written_where_the_server_knows_no_better() -> None:
    content = bytearray(os.urandom(3 << 20))
    with served(lambda peer: storage(peer, content, 1)) as (connection, peer):
        assert not connection.zero(0, 1 << 20, fast=True)
        assert connection.zero(0, len(content))
        connection.flush()
    assert not any(content) and set(commands(peer)) == {client.WRITE, client.DISCONNECT}, "it can't flush either"


def test_several_are_under_way_and_answered_in_any_order() -> None:
    order: list[int] = []

    def serve(peer: Peer) -> None:
        peer.greet()
        requests = [peer.request() for _ in range(client.WINDOW)]
        order.extend(request.offset for request in requests)
        for request in reversed(requests):
            peer.reply(request)
        peer.reply(peer.request())  # the flush

    with served(serve) as (connection, _):
        for number in range(client.WINDOW):
            connection.write(memoryview(b"x" * 10), number * 100)
        connection.flush()
    assert order == [number * 100 for number in range(client.WINDOW)]


def test_answers_to_reads_in_any_order() -> None:
    def serve(peer: Peer) -> None:
        peer.greet()
        requests = [peer.request() for _ in range(4)]
        for request in reversed(requests):
            peer.reply(request, data=b"%d" % (request.offset // 10) * 10)

    with served(serve) as (connection, _):
        assert (
            b"".join(bytes(piece) for piece in connection.read(40, 10)) == b"0" * 10 + b"1" * 10 + b"2" * 10 + b"3" * 10
        )


def test_what_overlaps_is_not_under_way_at_once() -> None:
    seen = []

    def serve(peer: Peer) -> None:
        peer.greet()
        first, second = peer.request(), peer.request()
        peer.socket.settimeout(0.2)
        try:
            peer.request()
        except TimeoutError:
            seen.append("waits")
        peer.socket.settimeout(None)
        peer.reply(second)
        peer.reply(first)
        peer.reply(peer.request())
        peer.reply(peer.request())

    with served(serve) as (connection, peer):
        connection.write(memoryview(b"a" * 100), 0)
        connection.write(memoryview(b"b" * 100), 1000)
        connection.write(memoryview(b"c" * 100), 50)
        connection.flush()
    assert seen == ["waits"] and [request.offset for request in peer.seen[:3]] == [0, 1000, 50]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EPERM])
def test_an_error_shows_by_the_flush(code: int) -> None:
    def serve(peer: Peer) -> None:
        peer.greet()
        peer.reply(peer.request(), code)

    with served(serve) as (connection, _):
        connection.write(memoryview(b"x"), 0)
        for _ in range(2):
            with pytest.raises(OSError, match=os.strerror(code)) as caught:
                connection.flush()
            assert caught.value.errno == code
        assert not connection.broken
        with pytest.raises(OSError, match=os.strerror(code)):
            connection.write(memoryview(b"x"), 0)


def test_an_error_of_a_read_or_flush() -> None:
    def serve(peer: Peer) -> None:
        peer.greet()
        peer.reply(peer.request(), errno.EIO)
        peer.reply(peer.request(), errno.EIO)

    with served(serve) as (connection, _):
        with pytest.raises(OSError, match="Input/output"):
            next(connection.read(10, 10))
        with pytest.raises(OSError, match="Input/output"):
            connection.flush()


def test_no_quick_way_to_zeros() -> None:
    def serve(peer: Peer) -> None:
        peer.greet()
        peer.reply(peer.request(), errno.EOPNOTSUPP)
        peer.reply(peer.request(), errno.EIO)

    with served(serve) as (connection, _):
        assert connection.zero(0, 100, fast=True) is False
        with pytest.raises(OSError, match="Input/output"):
            connection.zero(0, 100, fast=True)


def nonsense(peer: Peer) -> None:
    peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)


def oldstyle(peer: Peer) -> None:
    peer.socket.sendall(struct.pack(">QQQ", client.NBDMAGIC, 0x00420281861253, SIZE) + bytes(128))


def no_such_export(peer: Peer) -> None:
    peer.socket.sendall(struct.pack(">QQH", client.NBDMAGIC, client.IHAVEOPT, 3))
    peer.take(26)
    peer.option(0x80000006, b"no export")


def endless_option(peer: Peer) -> None:
    peer.socket.sendall(struct.pack(">QQH", client.NBDMAGIC, client.IHAVEOPT, 3))
    peer.take(26)
    peer.socket.sendall(struct.pack(">QIII", client.OPTION_REPLY, client.OPT_GO, client.REP_INFO, 1 << 31))


@pytest.mark.parametrize("serve", [nonsense, oldstyle, no_such_export, endless_option])
def test_a_server_that_is_none(serve: Callable[[Peer], None]) -> None:
    with pytest.raises(OSError, match="server"), served(serve):
        pass


def unknown_cookie(peer: Peer) -> None:
    request = peer.request()
    request.cookie += 1
    peer.reply(request)


def other_magic(peer: Peer) -> None:
    peer.request()
    peer.socket.sendall(bytes(16))


def goes_away(peer: Peer) -> None:
    peer.request()
    peer.socket.close()


@pytest.mark.parametrize(
    ("serve", "how"),
    [(unknown_cookie, "no sense"), (other_magic, "no sense"), (goes_away, "closed"), (Peer.request, "no answer for 0")],
)
def test_a_server_that_breaks_off(serve: Callable[[Peer], None], how: str) -> None:
    done = threading.Event()

    def body(peer: Peer) -> None:
        peer.greet()
        serve(peer)
        done.wait(5)

    with served(body, silence=0.3) as (connection, _):
        connection.write(memoryview(b"x"), 0)
        with pytest.raises(OSError, match=how) as caught:
            connection.flush()
        assert caught.value.errno in (errno.ECONNRESET, errno.ETIMEDOUT)
        assert connection.broken
        done.set()


def test_a_server_that_takes_nothing() -> None:
    done = threading.Event()

    def serve(peer: Peer) -> None:
        peer.greet()
        done.wait(5)

    with served(serve, silence=0.3) as (connection, _):
        data = memoryview(bytes(client.REQUEST_MAX))
        with pytest.raises(OSError, match="no answer") as caught:
            for number in range(100):
                connection.write(data, number * len(data))
        assert caught.value.errno == errno.ETIMEDOUT
        done.set()


def test_who_waits_can_be_interrupted() -> None:
    done = threading.Event()

    def serve(peer: Peer) -> None:
        peer.greet()
        done.wait(10)

    with served(serve, silence=60) as (connection, _):
        connection.write(memoryview(b"x"), 0)
        threading.Timer(0.2, connection.interrupt).start()
        started = time.monotonic()
        with pytest.raises(OSError, match="closed"):
            connection.flush()
        assert time.monotonic() - started < 3
        done.set()


def test_threads_share_a_connection() -> None:
    content = bytearray(8 << 20)
    pieces = [os.urandom(64 << 10) for _ in range(128)]
    with served(lambda peer: storage(peer, content)) as (connection, _):

        def work(first: int) -> None:
            for number in range(first, 128, 4):
                connection.write(memoryview(pieces[number]), number << 16)

        threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection.flush()
    assert content == b"".join(pieces)
