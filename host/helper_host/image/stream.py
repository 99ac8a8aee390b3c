"""A disk as a stream of its bytes: export and import

The stream is the disk's raw bytes, as Ganeti's own and most other OS providers write it. On import a stream that was
compressed with gzip or zstd is recognised, and the disk may have another size than the one that was exported: the rest
of a larger one is zero, and what a smaller one lacks must be zero in the stream.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

from helper_host.errors import ProviderError
from helper_host.image import kernel
from helper_host.image.content import interrupted
from helper_host.image.disk import Disk, write_failed
from helper_host.image.formats.base import read_into
from helper_host.image.formats.raw import RawReader
from helper_host.image.target import Target
from helper_host.image.writer import WriteResult

PIECE = 1 << 20
"""Bytes handled at once."""
EXCESS_MAX = 1 << 40
"""Zeros behind the disk's end are read and dropped up to here; an endless stream ends."""
SIP = 512
"""Bytes of zstd unpacked at once: four bytes may become 128 KiB, and its library has no bound on what comes out."""
WINDOW_MAX = 128 << 20
"""Most memory a zstd frame may ask for: what `zstd --long` makes, and the zstd tool takes by default."""
POLL = 0.5
"""Seconds after which a silent stream's reader looks at `cancel`."""

Progress = Callable[[int, int], None]


def disk_size(path: str) -> int:
    """Bytes that an export of the disk has

    Raises:
        ProviderError: E-DISK-IO
    """
    fd, size = _open_for_reading(path)
    os.close(fd)
    return size


def export_stream(path: str, output: int, progress: Progress, cancel: threading.Event) -> int:
    """Write the disk's bytes to the descriptor `output`; how many there were. Holes are zeros that aren't read

    Raises:
        ProviderError: E-DISK-IO, E-STREAM when the reader went away, E-INTERRUPTED
    """
    fd, size = _open_for_reading(path)
    try:
        return send_pieces(_disk_pieces(fd, size, path), size, output, progress, cancel)
    finally:
        os.close(fd)


def send_pieces(
    pieces: Iterable[memoryview], size: int, output: int, progress: Progress, cancel: threading.Event
) -> int:
    """Write a disk's bytes to the descriptor `output`; how many there were, of `size`

    Raises:
        ProviderError: E-STREAM when the reader went away, E-INTERRUPTED
    """
    done = 0
    for piece in pieces:
        _send(output, piece, cancel)
        done += len(piece)
        progress(done, size)
    return done


def _disk_pieces(fd: int, size: int, path: str) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(PIECE))
    zeros = memoryview(bytes(PIECE))
    for extent in RawReader(fd, size).extents():
        end = min(extent.offset + extent.length, size)
        for offset in range(extent.offset, end, PIECE):
            part = buffer if extent.source is not None else zeros
            part = part[: min(PIECE, end - offset)]
            if extent.source is not None:
                _read_exactly(fd, part, offset, path)
            yield part


def import_stream(source: int, disk: Disk, progress: Progress, cancel: threading.Event) -> WriteResult:
    """Write the stream from the descriptor `source` to the disk, its head last, durably

    `progress` gets bytes done and the disk's size; a stream may be shorter.

    Raises:
        ProviderError: E-STREAM, E-DISK-IO, E-INTERRUPTED; the disk then has neither its old head nor a new one
    """
    started = time.monotonic()

    def check() -> None:
        if cancel.is_set():
            raise interrupted()

    pieces = _pieces(_plain(_received(source, cancel)))
    first = next(pieces, None)
    if first is None:
        raise ProviderError("E-STREAM", "The stream to import is empty", "look at the export")
    target = Target(disk, disk.size, check)
    try:
        known_zero = target.prepare(disk.size)
        end = _fill(target, first, pieces, progress)
        if not known_zero and end < disk.size:
            target.zero(end, disk.size - end)
        disk.sync()
        target.write_kept()
        disk.sync()
    except OSError as error:
        raise write_failed(disk, error) from None
    return WriteResult(min(end, disk.size), target.written, time.monotonic() - started)


def _fill(target: Target, piece: bytearray, pieces: Iterator[bytearray], progress: Progress) -> int:
    """All pieces to the target; the stream's length"""
    offset, size = 0, target.disk.size
    following: bytearray | None = piece
    while following is not None:
        piece = following
        room = max(0, min(len(piece), size - offset))
        if piece.count(0, room) != len(piece) - room:
            raise ProviderError(
                "E-STREAM",
                f"The stream has data behind the end of the disk ({size >> 20} MiB)",
                "import it to a larger disk",
            )
        if room:
            target.put(offset, piece, room)
        offset += len(piece)
        if offset > size + EXCESS_MAX:
            raise ProviderError("E-STREAM", "The stream does not end", "look at the export")
        progress(min(offset, size), size)
        following = next(pieces, None)
    return offset


def _open_for_reading(path: str) -> tuple[int, int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise ProviderError(
            "E-DISK-IO", f"The disk {path} can't be opened ({error.strerror})", "look at it with gnt-instance info"
        ) from None
    mode = os.fstat(fd).st_mode
    if stat.S_ISBLK(mode):
        return fd, kernel.device_size(fd)
    if stat.S_ISREG(mode):
        return fd, os.fstat(fd).st_size
    os.close(fd)
    raise ProviderError(
        "E-DISK-IO", f"{path} is neither a file nor a block device", "look at it with gnt-instance info"
    )


def _read_exactly(fd: int, into: memoryview, offset: int, path: str) -> None:
    try:
        if read_into(fd, into, offset) == len(into):
            return
        reason = "it got shorter"
    except OSError as error:
        reason = str(error.strerror)
    raise ProviderError("E-DISK-IO", f"The disk {path} could not be read ({reason})", "look at its storage")


def _send(output: int, data: memoryview, cancel: threading.Event) -> None:
    """All of `data`; a reader that has stopped reading is waited for until `cancel`"""
    mode = os.fstat(output).st_mode
    waits = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    try:
        while data:
            if cancel.is_set():
                raise interrupted()
            if not _ready(output, select.POLLOUT):
                continue
            try:
                count = _write_ready(output, data) if waits else os.write(output, data)
            except BlockingIOError:
                continue
            data = data[count:]
    except OSError as error:
        how = "nobody reads it any more" if error.errno == errno.EPIPE else error.strerror
        raise ProviderError("E-STREAM", f"The export's stream broke ({how})", "look at the import's log") from None


def _write_ready(output: int, data: memoryview) -> int:
    """As much of `data` as goes into a pipe or socket that is ready; how much that was

    O_NONBLOCK would be seen by whoever else has the pipe.
    """
    try:
        return os.pwritev(output, [data], -1, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
    # Linux before 6.4, Debian 12's among them, can't do that with pipes; a ready one has room for a page
    return os.write(output, data[: select.PIPE_BUF])


def _ready(fd: int, event: int) -> bool:
    poll = select.poll()
    poll.register(fd, event)
    return bool(poll.poll(POLL * 1000))


def _received(source: int, cancel: threading.Event) -> Iterator[bytes]:
    """What comes from the descriptor, until its end"""
    while True:
        if cancel.is_set():
            raise interrupted()
        try:
            if not _ready(source, select.POLLIN):
                continue
            data = os.read(source, PIECE)
        except OSError as error:
            raise ProviderError(
                "E-STREAM", f"The stream could not be read ({error.strerror})", "look at the export's log"
            ) from None
        if not data:
            return
        yield data


def _plain(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The stream without its compression, in parts of at most `PIECE` bytes"""
    first = b""
    while len(first) < 4:
        chunk = next(chunks, b"")
        if not chunk:
            break
        first += chunk
    if first.startswith(b"\x1f\x8b\x08"):
        return _gunzip(first, chunks)
    if first.startswith(b"\x28\xb5\x2f\xfd"):
        return _unzstd(first, chunks)
    return _chained(first, chunks)


def _chained(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from chunks


def _gunzip(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """All members of a gzip stream; zeros after the last are padding"""
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for chunk in _chained(first, chunks):
            data = chunk
            while data:
                if inflate.eof:
                    data = data.lstrip(b"\0")
                    if not data:
                        break
                    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
                yield inflate.decompress(data, PIECE)
                data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        while not inflate.eof:
            rest = inflate.decompress(b"", PIECE)
            if not rest:
                raise _broken("gzip")
            yield rest
    except zlib.error:
        raise _broken("gzip") from None


def _unzstd(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """All frames of a zstd stream"""
    try:
        import zstandard
    except ImportError:
        raise ProviderError(
            "E-NODE", "The stream is compressed with zstd and python's zstandard is missing", "install it"
        ) from None
    unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_MAX)
    frame = unpacker.decompressobj()
    started = False
    try:
        for chunk in _chained(first, chunks):
            for start in range(0, len(chunk), SIP):
                data = chunk[start : start + SIP]
                while data:
                    if frame.eof:
                        frame = unpacker.decompressobj()
                    started = True
                    yield frame.decompress(data)
                    data = frame.unused_data if frame.eof else b""
        if started and not frame.eof:
            raise _broken("zstd")
    except zstandard.ZstdError:
        raise _broken("zstd") from None


def _broken(name: str) -> ProviderError:
    return ProviderError("E-STREAM", f"The stream's {name} data is damaged or ends early", "look at the export")


def _pieces(parts: Iterator[bytes]) -> Iterator[bytearray]:
    """Parts of any length as pieces of `PIECE` bytes, the last one shorter"""
    piece = bytearray()
    for part in parts:
        piece += part
        while len(piece) >= PIECE:
            yield piece[:PIECE]
            del piece[:PIECE]
    if piece:
        yield piece
