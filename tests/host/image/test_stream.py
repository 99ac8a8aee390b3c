"""Export and import: what goes out comes in again, whatever the disk's size, and broken streams leave no head"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import random
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from helper_host.errors import ProviderError
from helper_host.image import stream
from helper_host.image.disk import HEAD, open_disk
from helper_host.image.stream import disk_size, export_stream, import_stream
from helper_host.image.writer import WriteResult

from .builders import MIB
from .conftest import new_disk, quiet

OLD = b"\xee"
CONTENT = random.Random(1).randbytes(2 * MIB) + bytes(2 * MIB) + random.Random(2).randbytes(MIB + 512)


def fed(feed: Callable[[int], None], path: Path) -> WriteResult:
    """Import what `feed` writes into a pipe"""
    source, end = os.pipe()

    def run() -> None:
        try:
            feed(end)
        except BrokenPipeError:
            pass
        finally:
            os.close(end)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with open_disk(str(path), path.stat().st_size) as disk:
            return import_stream(source, disk, quiet, threading.Event())
    finally:
        os.close(source)
        thread.join()


def imported(content: bytes, path: Path) -> WriteResult:
    def feed(end: int) -> None:
        with os.fdopen(os.dup(end), "wb") as file:
            file.write(content)

    return fed(feed, path)


def exported(path: Path) -> bytes:
    source, end = os.pipe()

    def run() -> None:
        export_stream(str(path), end, quiet, threading.Event())
        os.close(end)

    thread = threading.Thread(target=run)
    thread.start()
    with os.fdopen(source, "rb") as file:
        content = file.read()
    thread.join()
    return content


def disk_of(tmp_path: Path, size: int, old: bytes) -> Path:
    path = new_disk(tmp_path / "disk", size)
    if old:
        path.write_bytes(old * size)
    return path


def test_export(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.write(CONTENT)
        file.truncate(20 * MIB)
    assert disk_size(str(path)) == 20 * MIB
    assert exported(path) == CONTENT.ljust(20 * MIB, b"\0")


def test_export_does_not_read_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = new_disk(tmp_path / "disk", 50 * MIB)
    monkeypatch.setattr(stream, "_read_exactly", lambda *_: pytest.fail("a hole was read"))
    assert exported(path) == bytes(50 * MIB)


def test_export_into_a_pipe_of_an_older_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def before_6_4(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "pwritev", before_6_4)
    path = tmp_path / "disk"
    path.write_bytes(CONTENT)
    assert exported(path) == CONTENT


def test_export_of_no_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "missing", ""):
        with pytest.raises(ProviderError, match="E-DISK-IO"):
            export_stream(str(tmp_path / name), 1, quiet, threading.Event())


def test_export_that_nobody_reads(tmp_path: Path) -> None:
    source, end = os.pipe()
    os.close(source)
    with pytest.raises(ProviderError, match=r"E-STREAM: .*nobody reads it"):
        export_stream(str(new_disk(tmp_path / "disk", MIB)), end, quiet, threading.Event())
    os.close(end)


@pytest.mark.programs
@pytest.mark.parametrize("old", [b"", OLD], ids=["fresh", "reused"])
@pytest.mark.parametrize(
    "packed", ["raw", "gzip", "gzip members", "gzip padded", "zstd", "zstd frames", "bzip2", "xz", "xz streams"]
)
@pytest.mark.parametrize("extra", [0, 3 * MIB])
def test_import(tmp_path: Path, old: bytes, packed: str, extra: int) -> None:
    half = len(CONTENT) // 2
    zstd = zstandard.ZstdCompressor().compress
    content = {
        "raw": CONTENT,
        "gzip": gzip.compress(CONTENT, 1),
        "gzip members": gzip.compress(CONTENT[:half], 1) + gzip.compress(CONTENT[half:], 1),
        "gzip padded": gzip.compress(CONTENT, 1) + bytes(10_000),
        "zstd": zstd(CONTENT),
        "zstd frames": zstd(CONTENT[:half]) + zstd(CONTENT[half:]),
        "bzip2": bz2.compress(CONTENT, 1),
        "xz": lzma.compress(CONTENT, preset=0),
        "xz streams": lzma.compress(CONTENT[:half], preset=0) + bytes(8) + lzma.compress(CONTENT[half:], preset=0),
    }[packed]
    path = disk_of(tmp_path, len(CONTENT) + extra, old)
    result = imported(content, path)
    assert path.read_bytes() == CONTENT + bytes(extra)
    assert result.size == len(CONTENT)


@pytest.mark.programs
def test_import_in_drips(tmp_path: Path) -> None:
    content = gzip.compress(b"\1" * 1000)

    def feed(end: int) -> None:
        for byte in content:
            os.write(end, bytes([byte]))

    path = new_disk(tmp_path / "disk", MIB)
    fed(feed, path)
    assert path.read_bytes() == (b"\1" * 1000).ljust(MIB, b"\0")


@pytest.mark.parametrize("length", [1, 3, 511, 513, MIB - 1, MIB, MIB + 1])
def test_short_streams(tmp_path: Path, length: int) -> None:
    path = disk_of(tmp_path, 3 * MIB, OLD)
    imported(b"\1" * length, path)
    assert path.read_bytes() == (b"\1" * length).ljust(3 * MIB, b"\0")


def test_zeros_behind_the_end_are_dropped(tmp_path: Path) -> None:
    path = disk_of(tmp_path, 3 * MIB + 512, OLD)
    imported(b"\1" * MIB + bytes(9 * MIB), path)
    assert path.read_bytes() == (b"\1" * MIB).ljust(3 * MIB + 512, b"\0")


@pytest.mark.parametrize("where", [0, 100, 5 * MIB])
def test_data_behind_the_end(tmp_path: Path, where: int) -> None:
    path = disk_of(tmp_path, 3 * MIB, OLD)
    with pytest.raises(ProviderError, match=r"E-STREAM: .*behind the end of the disk \(3 MiB\)"):
        imported(b"\1" * 3 * MIB + bytes(where) + b"\1", path)
    assert path.read_bytes()[:HEAD] == bytes(HEAD)


def test_empty_stream_leaves_the_disk_alone(tmp_path: Path) -> None:
    path = disk_of(tmp_path, MIB, OLD)
    with pytest.raises(ProviderError, match="E-STREAM: The stream to import is empty"):
        imported(b"", path)
    assert path.read_bytes() == OLD * MIB


@pytest.mark.programs
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
@pytest.mark.parametrize("damage", ["cut off", "flipped", "garbage after"])
def test_damaged_compression(tmp_path: Path, kind: str, damage: str) -> None:
    pack = gzip.compress if kind == "gzip" else zstandard.ZstdCompressor(write_checksum=True).compress
    content = pack(CONTENT)
    if damage == "cut off":
        content = content[:-5]
    elif damage == "flipped":
        content = content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]
    else:
        content += b"garbage"
    path = disk_of(tmp_path, 8 * MIB, OLD)
    with pytest.raises(ProviderError, match=f"E-STREAM: .*{kind}"):
        imported(content, path)
    assert path.read_bytes()[:HEAD] == bytes(HEAD)


@pytest.mark.programs
@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_bombs(tmp_path: Path, kind: str) -> None:
    """Data that unpacks to a hundred times the disk ends at the disk's end, in little memory"""
    plain = b"\1" * 200 * MIB
    content = gzip.compress(plain, 1) if kind == "gzip" else zstandard.ZstdCompressor().compress(plain)
    del plain
    path = disk_of(tmp_path, 2 * MIB, b"")
    tracemalloc.start()
    try:
        with pytest.raises(ProviderError, match=r"E-STREAM: .*behind the end"):
            imported(content, path)
        assert tracemalloc.get_traced_memory()[1] < 48 * MIB
    finally:
        tracemalloc.stop()


def test_endless_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "EXCESS_MAX", 10 * MIB)

    def feed(end: int) -> None:
        while True:
            os.write(end, bytes(65536))

    with pytest.raises(ProviderError, match="E-STREAM: The stream does not end"):
        fed(feed, new_disk(tmp_path / "disk", MIB))


@pytest.mark.parametrize("direction", ["import", "export"])
def test_cancel_while_the_other_side_is_silent(tmp_path: Path, direction: str) -> None:
    source, end = os.pipe()
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    path = new_disk(tmp_path / "disk", 4 * MIB)
    started = time.monotonic()
    with pytest.raises(ProviderError, match="E-INTERRUPTED"):
        if direction == "import":
            with open_disk(str(path), 4 * MIB) as disk:
                import_stream(source, disk, quiet, cancel)
        else:
            export_stream(str(path), end, quiet, cancel)
    assert time.monotonic() - started < 2
    os.close(source)
    os.close(end)


@pytest.mark.root
def test_devices(tmp_path: Path) -> None:
    backing = disk_of(tmp_path, 8 * MIB, OLD)
    argv = ["losetup", "-f", "--show", str(backing)]
    loop = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        with (tmp_path / "stream").open("wb+", buffering=0) as file, open_disk(loop, 8 * MIB) as disk:
            file.write(CONTENT)
            file.seek(0)
            import_stream(file.fileno(), disk, quiet, threading.Event())
        assert exported(Path(loop)) == CONTENT.ljust(8 * MIB, b"\0")
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)
