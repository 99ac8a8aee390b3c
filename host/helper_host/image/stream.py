"""A disk as a stream of its bytes: export and import

The stream is the disk's raw bytes, as Ganeti's own and most other OS providers write it. On import a stream that was
compressed is recognised and unpacked in a confined child, and the disk may have another size than the one that was
exported: the rest of a larger one is zero, and what a smaller one lacks must be zero in the stream.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator

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
MAGICS = (
    (b"\x1f\x8b\x08", "gzip"),
    *((b"BZh%d1AY&SY" % level, "bzip2") for level in range(1, 10)),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
"""First bytes, as many as there are: a disk may well begin with some of them."""
MAGIC_MAX = max(len(magic) for magic, _ in MAGICS)
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

    with contextlib.closing(_pieces(_plain(source, cancel))) as pieces:
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
        except OSError as error:
            raise write_failed(disk, error) from None
        target.finish()
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


def _plain(source: int, cancel: threading.Event) -> Iterator[bytes | memoryview]:
    """The stream without its compression, in parts of at most `PIECE` bytes"""
    first = b""
    for chunk in _received(source, cancel):
        first += chunk
        if len(first) >= MAGIC_MAX:
            break
    packed = next((name for magic, name in MAGICS if first.startswith(magic)), "")
    if not packed:
        return _chained(first, source, cancel)
    from helper_host.image.compressions import COMPRESSIONS
    from helper_host.image.unpacking import unpacked

    return unpacked(lambda stop: _chained(first, source, stop), COMPRESSIONS[packed], cancel, _broken)


def _chained(first: bytes, source: int, cancel: threading.Event) -> Iterator[bytes]:
    if first:
        yield first
        yield from _received(source, cancel)


def _broken(cause: str, _remedy: str) -> ProviderError:
    return ProviderError("E-STREAM", f"The stream's {cause}", "look at the export")


def _pieces(parts: Iterator[bytes | memoryview]) -> Generator[bytearray]:
    """Parts of any length as pieces of `PIECE` bytes, the last one shorter"""
    piece = bytearray()
    for part in parts:
        piece += part
        while len(piece) >= PIECE:
            yield piece[:PIECE]
            del piece[:PIECE]
    if piece:
        yield piece
