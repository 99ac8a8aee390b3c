"""What has to be a file for a while: complete, bounded, and nothing of it stays"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.cache.spool import spool

MIB = 1 << 20


def quiet(done: int, total: int) -> None:
    """Nobody looks"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("known", [True, False])
def test_all_bytes_are_there_at_random(folder: Path, known: bool) -> None:
    pieces = [os.urandom(70_000) for _ in range(40)]
    seen: list[tuple[int, int]] = []
    total = sum(map(len, pieces)) if known else 0
    fd = spool(
        pieces,
        CacheSpec(str(folder), 64 * MIB),
        "x",
        lambda done, all_: seen.append((done, all_)),
        threading.Event(),
        total=total,
    )
    try:
        assert os.pread(fd, 1 << 30, 0) == b"".join(pieces)
        status = os.fstat(fd)
        assert status.st_blocks * 512 < sum(map(len, pieces)) + 64 * 1024, "what was set aside is given back"
        assert seen[-1] == (sum(map(len, pieces)), total)
        assert left(folder) <= {"lock"}, "it has no name"
    finally:
        os.close(fd)


def test_more_than_the_bound(folder: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(MIB)

    with pytest.raises(ProviderError, match=r"E-CACHE: The image http://x has to be stored.*4 MiB.*; .*cache_size_mib"):
        spool(endless(), CacheSpec(str(folder), 4 * MIB), "http://x", quiet, threading.Event())
    with pytest.raises(ProviderError, match="E-CACHE"):
        spool([b"never looked at"], CacheSpec(str(folder), 4 * MIB), "x", quiet, threading.Event(), total=5 * MIB)
    assert left(folder) <= {"lock"}


def test_exactly_the_bound(folder: Path) -> None:
    pieces = [os.urandom(MIB)] * 4
    fd = spool(pieces, CacheSpec(str(folder), 4 * MIB), "x", quiet, threading.Event())
    assert os.fstat(fd).st_size == 4 * MIB
    os.close(fd)


def test_nothing_is_kept_and_yet_there_is_a_file(folder: Path) -> None:
    fd = spool([b"abc"], CacheSpec(str(folder), 0), "x", quiet, threading.Event())
    assert os.pread(fd, 10, 0) == b"abc"
    os.close(fd)


def test_cancelled(folder: Path) -> None:
    cancel = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"one"
        cancel.set()
        yield b"two"

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ProviderError, match="E-INTERRUPTED"):
        spool(pieces(), CacheSpec(str(folder), MIB), "x", quiet, cancel)
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_the_pieces_raise_goes_through(folder: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise ProviderError("E-IMAGE-FETCH", "broke off", "try again")

    with pytest.raises(ProviderError, match="E-IMAGE-FETCH: broke off"):
        spool(pieces(), CacheSpec(str(folder), MIB), "x", quiet, threading.Event())
