"""Our end of an NBD connection: the few commands that writing an image needs, several under way at once

After the NBD project's doc/proto.md: fixed newstyle handshake, NBD_OPT_GO, simple replies. The other end is the broker,
on this node and started by us; it is not believed more than a server must be.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Iterator

WINDOW = 8
"""Requests under way at most; QEMU's server takes 16 of a client (nbd/server.c)."""
REQUEST_MAX = 2 << 20
"""Bytes of data in a request; each of the window takes so much memory in the broker."""
ZERO_MAX = 256 << 20
"""Bytes of zeros in a request: a storage that has no quick way writes them, and must answer in time."""
BUFFER = 4 << 20
"""Bytes of a socket's buffer: with the usual 208 KiB both ends wake up ten times as often."""
SILENCE_SECONDS = 60.0
"""A server that does nothing for so long is taken for dead."""

SO_SNDBUFFORCE = 32
"""include/uapi/asm-generic/socket.h: as SO_SNDBUF, but not bounded by net.core.wmem_max."""

# handshake: magic numbers, flags, option and reply types
NBDMAGIC, IHAVEOPT, OPTION_REPLY = 0x4E42444D41474943, 0x49484156454F5054, 0x3E889045565A9
FIXED_NEWSTYLE, NO_ZEROES = 1, 2
OPT_GO, REP_ACK, REP_INFO, INFO_EXPORT = 7, 1, 3, 0
REPLY_MAX = 64 * 1024
# transmission: flags of an export, commands, their flags
READ_ONLY, SEND_FLUSH, SEND_WRITE_ZEROES, SEND_FAST_ZERO = 1 << 1, 1 << 2, 1 << 6, 1 << 11
READ, WRITE, DISCONNECT, FLUSH, WRITE_ZEROES = 0, 1, 2, 3, 6
FAST_ZERO = 1 << 4
REQUEST, REPLY = 0x25609513, 0x67446698

ZEROS = memoryview(bytes(REQUEST_MAX))


class _Request:
    """One that was sent"""

    def __init__(self, offset: int, length: int, into: memoryview | None = None, *, waited: bool = True) -> None:
        self.offset = offset
        self.length = length
        self.into = into
        """Where the bytes go that are read."""
        self.waited = waited
        """Somebody looks at its error."""
        self.error = -1
        """The server's errno, the numbers of which are Linux'; 0: it went well; -1: no answer yet."""

    def meets(self, offset: int, length: int) -> bool:
        """Whether any byte is common to both"""
        return self.offset < offset + length and offset < self.offset + self.length


class Connection:
    """A connected socket on which the handshake has been made; for several threads

    Errors are OSErrors: what the server says of a request, ETIMEDOUT when it says nothing, ECONNRESET when it went away
    or makes no sense; after the latter two, nothing more can be done here.
    """

    def __init__(self, connected: socket.socket, silence: float = SILENCE_SECONDS) -> None:
        """Takes the socket over"""
        self._socket = connected
        self._under_way: dict[int, _Request] = {}
        self._cookie = 0
        self._error = 0
        self._lock = threading.RLock()
        self.broken = False
        """Nothing more can be done here."""
        connected.settimeout(silence)
        try:
            connected.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)
        except PermissionError:
            pass  # without root it stays as it is
        try:
            self.size, self._flags = self._handshake()
        except BaseException:
            connected.close()
            raise

    @property
    def read_only(self) -> bool:
        """Whether the server takes no writes"""
        return bool(self._flags & READ_ONLY)

    def write(self, data: memoryview, offset: int) -> None:
        """Send `data` to be written; an error of it may be raised by a later call, at the latest by `flush`"""
        for start in range(0, len(data), REQUEST_MAX):
            part = data[start : start + REQUEST_MAX]
            self._send(WRITE, 0, _Request(offset + start, len(part), waited=False), part)

    def zero(self, offset: int, length: int, *, fast: bool = False) -> bool:
        """Make the range zeros; with `fast`, only where that is quicker than writing, and False where it isn't"""
        if not self._flags & SEND_WRITE_ZEROES or (fast and not self._flags & SEND_FAST_ZERO):
            if not fast:
                for start in range(0, length, REQUEST_MAX):
                    self.write(ZEROS[: min(REQUEST_MAX, length - start)], offset + start)
            return not fast
        for start in range(0, length, ZERO_MAX):
            request = _Request(offset + start, min(ZERO_MAX, length - start), waited=fast)
            self._send(WRITE_ZEROES, FAST_ZERO if fast else 0, request)
            if fast and not self._answered(request):
                return False
        return True

    def read(self, size: int, step: int) -> Iterator[memoryview]:
        """The first `size` bytes, in pieces of `step`; each is good until the next is asked for. Reads ahead"""
        buffers = [memoryview(bytearray(step)) for _ in range(WINDOW)]
        requests: list[_Request] = []
        asked = 0
        while asked < size or requests:
            while asked < size and len(requests) < WINDOW - 1:
                length = min(step, size - asked)
                request = _Request(asked, length, buffers[asked // step % WINDOW][:length])
                self._send(READ, 0, request)
                requests.append(request)
                asked += length
            request = requests.pop(0)
            self._wait(request)
            assert request.into is not None
            yield request.into

    def flush(self) -> None:
        """Until everything that was sent is on stable storage"""
        self.drain()
        if self._flags & SEND_FLUSH:
            request = _Request(0, 0)
            self._send(FLUSH, 0, request)
            self._wait(request)

    def drain(self) -> None:
        """Until all has been answered"""
        with self._lock:
            while self._under_way:
                self._receive()
            self._raise_error()

    def interrupt(self) -> None:
        """Nobody, in whatever thread, waits for the server any longer"""
        self.broken = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is not connected any more

    def close(self) -> None:
        """Say good-bye and close; harmless when repeated"""
        if not self.broken and self._socket.fileno() >= 0:
            try:
                self._transmit(struct.pack(">IHHQQI", REQUEST, 0, DISCONNECT, 0, 0, 0), memoryview(b""))
            except OSError:
                pass  # it needn't hear it
        self.broken = True
        self._socket.close()

    # --- requests and replies ---------------------------------------------------------------------------------------

    def _send(self, command: int, flags: int, request: _Request, data: memoryview = ZEROS[:0]) -> None:
        with self._lock:
            self._raise_error()
            # answers come in any order, and so the server may well work: what overlaps must not be under way at once
            while len(self._under_way) >= WINDOW or any(
                each.meets(request.offset, request.length) for each in self._under_way.values()
            ):
                self._receive()
            self._raise_error()
            self._cookie += 1
            self._under_way[self._cookie] = request
            header = struct.pack(">IHHQQI", REQUEST, flags, command, self._cookie, request.offset, request.length)
            self._transmit(header, data)

    def _answered(self, request: _Request) -> bool:
        """Wait; whether it went well, or can't be done in that way"""
        try:
            self._wait(request)
        except OSError as error:
            if self.broken or error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
            return False
        return True

    def _wait(self, request: _Request) -> None:
        with self._lock:
            while request.error < 0:
                self._receive()
        if request.error:
            raise OSError(request.error, os.strerror(request.error))

    def _raise_error(self) -> None:
        if self._error:
            raise OSError(self._error, os.strerror(self._error))

    def _receive(self) -> None:
        """One reply"""
        magic, error, cookie = struct.unpack(">IIQ", self._exactly(16))
        request = self._under_way.get(cookie)
        if magic != REPLY or request is None:
            raise self._lost(errno.ECONNRESET, "the server's reply makes no sense")
        if not error and request.into is not None:
            self._fill(request.into)
        del self._under_way[cookie]
        request.error = error
        if error and not request.waited:
            self._error = self._error or error

    # --- bytes ------------------------------------------------------------------------------------------------------

    def _transmit(self, header: bytes, data: memoryview) -> None:
        try:
            sent = self._socket.sendmsg([header, data]) if data else self._socket.send(header)
            if sent < len(header):
                self._socket.sendall(header[sent:])
                sent = len(header)
            data = data[sent - len(header) :]
            while data:
                data = data[self._socket.send(data) :]
        except OSError as error:
            raise self._failed(error) from None

    def _exactly(self, length: int) -> bytes:
        buffer = bytearray(length)
        self._fill(memoryview(buffer))
        return bytes(buffer)

    def _fill(self, view: memoryview) -> None:
        try:
            while view:
                count = self._socket.recv_into(view)
                if count == 0:
                    raise self._lost(errno.ECONNRESET, "the connection was closed")
                view = view[count:]
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> OSError:
        if isinstance(error, TimeoutError):
            return self._lost(errno.ETIMEDOUT, f"there was no answer for {self._socket.gettimeout() or 0:.0f} s")
        if error.errno in (errno.EPIPE, errno.EBADF, errno.ENOTCONN):
            return self._lost(errno.ECONNRESET, "the connection was closed")
        return self._lost(error.errno or errno.EIO, error.strerror or "the connection was lost")

    def _lost(self, code: int, how: str) -> OSError:
        self.broken = True
        return OSError(code, how)

    # --- handshake --------------------------------------------------------------------------------------------------

    def _handshake(self) -> tuple[int, int]:
        """Size and flags of the one export, whose name is empty"""
        magic, version, flags = struct.unpack(">QQH", self._exactly(18))
        if magic != NBDMAGIC or version != IHAVEOPT or not flags & FIXED_NEWSTYLE:
            raise self._lost(errno.ECONNRESET, "the server does not greet as NBD does")
        wanted = FIXED_NEWSTYLE | (flags & NO_ZEROES)
        go = struct.pack(">IH", 0, 0)
        self._transmit(struct.pack(">IQII", wanted, IHAVEOPT, OPT_GO, len(go)) + go, ZEROS[:0])
        export = (0, 0)
        while True:
            magic, option, kind, length = struct.unpack(">QIII", self._exactly(20))
            if magic != OPTION_REPLY or option != OPT_GO or length > REPLY_MAX:
                raise self._lost(errno.ECONNRESET, "the server's answer makes no sense")
            data = self._exactly(length)
            if kind == REP_ACK:
                return export
            if kind != REP_INFO:
                raise self._lost(errno.ECONNRESET, "the server has no such export")
            if length == 12 and data[:2] == struct.pack(">H", INFO_EXPORT):
                export = struct.unpack(">QH", data[2:])
