"""The confined child that unpacks: what comes out, what is refused, and what it is while it works"""

from __future__ import annotations

import lzma
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from helper_host.errors import ProviderError
from helper_host.image import unpacking
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.compressions import COMPRESSIONS, program
from helper_host.image.compressions.base import SLOTS
from helper_host.image.content import PIECE, FileContent
from helper_host.image.formats.base import refused
from helper_host.image.ring import SIZE, Ring
from helper_host.image.unpacked import Unpacked
from helper_host.jail import UID_BASE

from .packing import PACK, zero_bomb, zstd

pytestmark = pytest.mark.programs

KINDS = sorted(PACK)
CONTENT = random.Random(5).randbytes(700_000) + bytes(3 * PIECE) + b"end of it " * 50_000


def feeding(packed: bytes, step: int = 100_000) -> unpacking.Feed:
    def feed(stop: threading.Event) -> Iterator[bytes]:
        for start in range(0, len(packed), step):
            yield packed[start : start + step]

    return feed


def unpacked(kind: str, feed: bytes | unpacking.Feed, cancel: threading.Event | None = None, **how: Any) -> bytes:
    source = feeding(feed) if isinstance(feed, bytes) else feed
    pieces = unpacking.unpacked(source, COMPRESSIONS[kind], cancel or threading.Event(), refused, **how)
    return b"".join(bytes(piece) for piece in pieces)


def parts(kind: str, *contents: bytes, between: bytes = b"") -> bytes:
    return between.join(PACK[kind](content) for content in contents)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, PIECE, len(CONTENT)])
def test_what_was_packed_comes_out(kind: str, size: int) -> None:
    assert unpacked(kind, PACK[kind](CONTENT[:size])) == CONTENT[:size]


@pytest.mark.parametrize("kind", KINDS)
def test_several_parts_byte_by_byte(kind: str) -> None:
    packed = parts(kind, b"first ", b"second ", b"", b"third")
    assert unpacked(kind, feeding(packed, 1)) == b"first second third"


@pytest.mark.parametrize(
    ("kind", "packed"),
    [
        ("gzip", parts("gzip", b"one") + bytes(100_000)),
        ("xz", parts("xz", b"on", b"e", between=bytes(4)) + bytes(400)),
        ("zstd", b"\x5a\x2a\x4d\x18\x03\0\0\0abc" + zstd(b"one") + b"\x50\x2a\x4d\x18\0\0\0\0"),
        ("zstd", zstandard.ZstdCompressor(write_content_size=False).compress(b"one")),
    ],
    ids=["gzip padded", "xz padded", "zstd skippable frames", "zstd without size"],
)
def test_what_the_formats_allow(kind: str, packed: bytes) -> None:
    assert unpacked(kind, packed) == unpacked(kind, feeding(packed, 1)) == b"one"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", [1, 5, 0.3, 0.9, -1])
def test_truncated(kind: str, where: float) -> None:
    packed = PACK[kind](CONTENT)
    cut = int(len(packed) * where) if isinstance(where, float) else where
    with pytest.raises(ProviderError, match=rf"E-IMAGE-REFUSED: {kind} data ends early"):
        unpacked(kind, packed[:cut])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_at_all(kind: str) -> None:
    with pytest.raises(ProviderError, match="ends early"):
        unpacked(kind, b"")


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_behind_a_whole_part(kind: str) -> None:
    with pytest.raises(ProviderError, match="ends early"):
        unpacked(kind, PACK[kind](b"whole") + PACK[kind](b"half of it")[:-4])


@pytest.mark.parametrize("kind", KINDS)
def test_garbage_behind_it(kind: str) -> None:
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .* damaged, or followed by something else"):
        unpacked(kind, PACK[kind](CONTENT) + b"something else")


@pytest.mark.parametrize("kind", ["bzip2", "zstd", "xz"])
def test_padding_that_the_format_does_not_have(kind: str) -> None:
    with pytest.raises(ProviderError, match="E-IMAGE-REFUSED"):
        unpacked(kind, PACK[kind](b"one") + bytes(3))


# a byte of the checksum at the end of the data, where each format has it
CHECKSUMS = {"gzip": -8, "bzip2": -4, "zstd": -1, "xz": -40}


@pytest.mark.parametrize("kind", KINDS)
def test_a_checksum_that_is_wrong(kind: str) -> None:
    content = b"text " * 1000
    packed = bytearray(lzma.compress(content, check=lzma.CHECK_SHA256) if kind == "xz" else PACK[kind](content))
    packed[CHECKSUMS[kind]] ^= 0x10
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .* damaged"):
        unpacked(kind, bytes(packed))


def test_windows_that_are_too_large() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    wide = compressor.compress(bytes(PIECE)) + compressor.flush()
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: zstd data takes too much memory"):
        unpacked("zstd", wide)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 << 20}]
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: xz data takes too much memory"):
        unpacked("xz", lzma.compress(b"x", filters=filters))


def test_windows_that_are_large_enough() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    assert unpacked("zstd", compressor.compress(CONTENT) + compressor.flush()) == CONTENT
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 128 << 20}]
    assert unpacked("xz", lzma.compress(CONTENT, filters=filters)) == CONTENT


# --- what may happen to it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, "E-NODE"), (signal.SIGSEGV, "E-IMAGE-REFUSED"), (signal.SIGSYS, "E-IMAGE-REFUSED")],
)
def test_a_child_that_is_killed(kind: str, number: signal.Signals, code: str) -> None:
    packed = PACK[kind](CONTENT)
    pids: list[int] = []

    def feed(stop: threading.Event) -> Iterator[bytes]:
        yield packed[:1000]
        os.kill(pids[0], number)
        yield packed[1000:]

    with pytest.raises(ProviderError, match=f"^{code}: "):
        unpacked(kind, feed, watch=pids.append)


def test_a_child_that_takes_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MEMORY_BASE", -(80 << 20))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 128 << 20}]
    with pytest.raises(ProviderError, match="too much memory"):
        unpacked("xz", lzma.compress(CONTENT, filters=filters))


@pytest.mark.parametrize("said", [b"", b"\x0d\0\0\0", b"\0\0\x10\x80", b"\0\0\x10\0" * 99, b"\0\0\x10\0no"])
def test_a_child_that_ends_before_the_file_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    """Owned, it says that all is well while the rest has been neither read nor checked"""
    (tmp_path / "owned.py").write_text(f"import os\nos.write(1, {said!r})\nos.close(0)\nos._exit(0)\n")
    monkeypatch.setattr(program, "__file__", str(tmp_path / "owned.py"))
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .* it ended by itself"):
        unpacked("gzip", feeding(random.Random(1).randbytes(4 * PIECE)))


def test_what_feeds_it_fails() -> None:
    """The reason why the packed bytes end is told, not that they end"""

    def feed(stop: threading.Event) -> Iterator[bytes]:
        yield PACK["gzip"](CONTENT)[:300_000]
        raise ProviderError("E-IMAGE-FETCH", "The server went away", "retry")

    with pytest.raises(ProviderError, match="E-IMAGE-FETCH"):
        unpacked("gzip", feed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_that_fails_at_the_very_end(kind: str) -> None:
    """All bytes have come out well, and the iterator must not end well"""

    def feed(stop: threading.Event) -> Iterator[bytes]:
        yield PACK[kind](bytes(PIECE))
        raise ProviderError("E-IMAGE-CHECKSUM", "Others", "retry")

    with pytest.raises(ProviderError, match="E-IMAGE-CHECKSUM"):
        unpacked(kind, feed)


def children() -> list[str]:
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


@pytest.mark.timed
def test_cancelled_while_nothing_comes() -> None:
    cancel = threading.Event()

    def feed(stop: threading.Event) -> Iterator[bytes]:
        yield PACK["xz"](CONTENT)[:1000]
        assert stop.wait(10), "what feeds is told to stop"
        raise AssertionError("too late to matter")

    threading.Timer(0.3, cancel.set).start()
    before = time.monotonic()
    with pytest.raises(ProviderError, match="E-INTERRUPTED"):
        unpacked("xz", feed, cancel)
    assert time.monotonic() - before < 1.5 and not children()


def test_given_up_half_way() -> None:
    descriptors = len(os.listdir("/proc/self/fd"))
    pieces = unpacking.unpacked(feeding(PACK["gzip"](CONTENT)), COMPRESSIONS["gzip"], threading.Event(), refused)
    next(iter(pieces))
    pieces.close()
    assert not children() and len(os.listdir("/proc/self/fd")) == descriptors
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed")]


@pytest.mark.root
@pytest.mark.parametrize("kind", KINDS)
def test_what_it_is_while_it_works(kind: str) -> None:
    facts: dict[str, str] = {}
    seen: dict[str, Any] = {}
    pids: list[int] = []

    def feed(stop: threading.Event) -> Iterator[bytes]:
        packed = PACK[kind](CONTENT)
        yield packed[:100]
        pid, deadline = pids[0], time.monotonic() + 10
        while facts.get("Seccomp") != "2" and time.monotonic() < deadline:
            time.sleep(0.02)
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            facts.update({name: value.strip() for name, value in (line.split(":", 1) for line in lines)})
        seen["root"] = sorted(path.name for path in Path(f"/proc/{pid}/root").rglob("*"))
        for _ in range(100):
            seen["fds"] = {path.name: os.readlink(path)[:5] for path in Path(f"/proc/{pid}/fd").iterdir()}
            if len(seen["fds"]) == 4:
                break
            time.sleep(0.02)  # the status pipe goes last
        seen["net"] = os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
        seen["environ"] = Path(f"/proc/{pid}/environ").read_bytes()
        seen["mounts"] = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        yield packed[100:]

    assert unpacked(kind, feed, watch=pids.append) == CONTENT
    assert facts["Uid"].split() == facts["Gid"].split() == [str(UID_BASE + pids[0])] * 4
    assert {facts[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert (facts["NoNewPrivs"], facts["Seccomp"], facts["Groups"], facts["Threads"]) == ("1", "2", "", "1")
    assert seen["root"] == ["dev", "null"], "nothing of the node is there"
    assert seen["fds"] == {"0": "pipe:", "1": "pipe:", "2": "/dev/", "3": "pipe:"}
    assert seen["net"] and seen["environ"] == b"" and len(seen["mounts"]) == 1
    assert "ro" in seen["mounts"][0].split()[5].split(",")


PARENT = """
import sys, threading, time
from helper_host.image import unpacking
from helper_host.image.compressions import COMPRESSIONS
from helper_host.image.formats.base import refused
def feed(stop):
    yield b"BZh9"
    time.sleep(60)
def watch(pid):
    print(pid, flush=True)
for _ in unpacking.unpacked(feed, COMPRESSIONS["bzip2"], threading.Event(), refused, watch=watch):
    pass
"""


@pytest.mark.parametrize("moment", [0.0, 0.02, 0.5])
def test_it_dies_with_us(moment: float) -> None:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/usr/bin"}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        time.sleep(moment)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while _alive(child):
        assert time.monotonic() < deadline, "it outlived its parent"
        time.sleep(0.01)
    os.close(child)


def _alive(child: int) -> bool:
    try:
        signal.pidfd_send_signal(child, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("said", [b"\0\0\0\0", b"\1\0\x10\0", b"\xff" * 8, b"\1\0\0\x80" * 2, b"\1\0\0\0" * 2])
def test_a_child_that_talks_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    (tmp_path / "owned.py").write_text(f"import os\nos.write(1, {said!r})\nwhile os.read(0, 99999): pass\n")
    monkeypatch.setattr(program, "__file__", str(tmp_path / "owned.py"))
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .* talks nonsense"):
        unpacked("gzip", feeding(random.Random(1).randbytes(4 * PIECE)))


# --- looking at the beginning -----------------------------------------------------------------------------------------


def head(kind: str, packed: bytes, path: Path) -> bytes:
    path.write_bytes(packed)
    file = FileContent(os.open(path, os.O_RDONLY), str(path))
    with Unpacked(file, COMPRESSIONS[kind], CacheSpec(str(path.parent))) as content:
        found = content.peek(34_816)
        assert content.peek(100) == found[:100]
        return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_head(kind: str, tmp_path: Path) -> None:
    assert head(kind, PACK[kind](CONTENT), tmp_path / "image") == CONTENT[:34_816]
    assert not children()


def test_the_head_of_less(tmp_path: Path) -> None:
    assert head("zstd", zstd(b"short"), tmp_path / "image") == b"short"
    with pytest.raises(ProviderError, match="ends early"):
        head("zstd", zstd(b"short")[:-1], tmp_path / "image")
    with pytest.raises(ProviderError, match="damaged"):
        head("gzip", b"\x1f\x8b\x08 no more of it", tmp_path / "image")
    assert not children()


def test_what_was_peeked_at_comes_once_more(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(PACK["xz"](CONTENT))
    file = FileContent(os.open(path, os.O_RDONLY), str(path))
    with Unpacked(file, COMPRESSIONS["xz"], CacheSpec(str(tmp_path))) as content:
        assert content.peek(9) == CONTENT[:9]
        pid = children()
        assert b"".join(bytes(piece) for piece in content.pieces(threading.Event())) == CONTENT
        assert len(pid) == 1 and not children()


# --- the memory that both have ----------------------------------------------------------------------------------------


def test_nobody_can_make_the_ring_shorter() -> None:
    ring = Ring()
    copy = os.dup(ring.fd)
    ring.close()
    for size in (0, SIZE // 2, SIZE + 4096):
        with pytest.raises(PermissionError):
            os.ftruncate(copy, size)
    os.close(copy)
    assert bytes(ring.slot(SLOTS + 2)) == bytes(PIECE)
    with pytest.raises(TypeError):
        ring.slot(0)[0] = 1


def test_lent_pieces_stay_until_they_are_given_back(tmp_path: Path) -> None:
    plain = random.Random(6).randbytes(4 * SLOTS * PIECE + 5)
    path = tmp_path / "image"
    path.write_bytes(zstd(plain))
    file = FileContent(os.open(path, os.O_RDONLY), str(path))
    content = Unpacked(file, COMPRESSIONS["zstd"], CacheSpec(str(tmp_path)))
    with content:
        assert content.peek(9) == plain[:9]
        give_back = content.lend()
        held: list[bytes | bytearray | memoryview] = []
        found = []
        for piece in content.pieces(threading.Event()):
            held.append(piece)
            if len(held) == SLOTS - 2:
                time.sleep(0.01)  # it goes on with what it has
                found.append(bytes(held.pop(0)))
                give_back()
        assert b"".join([*found, *map(bytes, held)]) == plain


SIZES: list[tuple[str, Callable[[bytes], bytes], int | None]] = [
    ("gzip", PACK["gzip"], None),
    ("bzip2", PACK["bzip2"], None),
    ("xz", PACK["xz"], len(CONTENT)),
    ("zstd", zstd, len(CONTENT)),
    ("zstd", lambda data: zstd(data[:9]) + zstd(data[9:]), 9),
    ("zstd", zstandard.ZstdCompressor(write_content_size=False).compress, None),
]


@pytest.mark.parametrize(("kind", "pack", "size"), SIZES)
def test_the_size_that_a_file_claims(kind: str, pack: Callable[[bytes], bytes], size: int | None) -> None:
    packed = pack(CONTENT)
    assert COMPRESSIONS[kind].plain_size(packed[:34_816], packed[-65536:]) == size
    assert COMPRESSIONS[kind].plain_size(packed[:17], packed[-30:-1]) is None


def test_a_bomb_of_zeros_is_small() -> None:
    assert unpacked("zstd", zero_bomb(10 * PIECE + 5)) == bytes(10 * PIECE + 5)
