"""A filesystem that is full, becomes full, or can't be written to"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.cache.spool import spool
from tests.host.image.cache.server import Server
from tests.host.image.cache.using import MIB, Node, result, sha256

pytestmark = pytest.mark.root

SMALL, LARGE = os.urandom(3 * MIB), os.urandom(12 * MIB)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of 10 MiB, of which the cache leaves 0.5 to others"""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m,mode=700", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.fixture
def small(mounted: Path, server: Server) -> Iterator[Node]:
    """Its cache, whose bound is larger than the filesystem"""
    server.files.update({"/image": SMALL, "/large": LARGE})
    node = Node(mounted / "cache")
    yield node
    node.close()


@pytest.mark.parametrize("lengths", [True, False])
def test_what_has_no_room_is_used_as_it_comes(server: Server, small: Node, lengths: bool) -> None:
    server.lengths = lengths
    assert small.get(server.url("/large")).data == LARGE
    assert any("is not kept" in text and "no room" in text for text in small.warnings)
    assert small.objects() == [] and small.parts() == []
    assert len(server.gets()) == 2
    if not lengths:
        assert server.gets()[1].start > 5 * MIB, "it went on where the room ended"


def test_without_validators_too_if_it_is_known_before(server: Server, small: Node) -> None:
    server.validators = False
    assert small.get(server.url("/large")).data == LARGE


def test_without_validators_and_length_it_has_to_fail(server: Server, small: Node) -> None:
    server.validators = server.lengths = False
    with pytest.raises(ProviderError, match=r"E-CACHE: .*no room.*; .*make room"):
        small.get(server.url("/large"))
    assert small.parts() == []


def test_what_must_be_a_file_says_what_to_do(server: Server, small: Node) -> None:
    with small.open(server.url("/large")) as content, pytest.raises(ProviderError, match=r"E-CACHE: .*no room"):
        content.whole(lambda done, total: None, threading.Event())
    with pytest.raises(ProviderError, match=r"E-CACHE: .*no room"):
        spool([LARGE[:MIB]] * 12, small.spec, "x", lambda done, total: None, threading.Event())
    assert small.objects() == [] and small.parts() == []


def test_copies_make_room(server: Server, small: Node) -> None:
    for name in "abcd":
        server.files[f"/{name}"] = os.urandom(3 * MIB)
        assert not small.get(server.url(f"/{name}")).at_hand
    assert len(small.objects()) == 3
    assert small.warnings == []
    fd = spool([LARGE[:MIB]] * 8, small.spec, "x", lambda done, total: None, threading.Event())
    assert os.fstat(fd).st_size == 8 * MIB
    os.close(fd)
    assert small.objects() == []


def test_somebody_else_fills_it_meanwhile(server: Server, small: Node, mounted: Path) -> None:
    """Without a length nothing is set aside ahead of 64 MiB, so it is noticed at some block"""
    server.lengths = False
    server.hold_at = 2 * MIB
    with small.open(server.url()) as content:
        pieces = content.pieces(threading.Event())
        got = [bytes(next(pieces))]
        with (mounted / "log").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(MIB))
            except OSError:
                pass
        server.go.set()
        got += map(bytes, pieces)
        assert b"".join(got) == SMALL
    (mounted / "log").unlink()
    assert small.get(server.url()).data == SMALL


def test_eight_at_once_where_there_is_no_room(server: Server, small: Node) -> None:
    processes = [small.start(server.url("/large")) for _ in range(8)]
    assert {result(process)["sha256"] for process in processes} == {sha256(LARGE)}
    assert small.objects() == [] and small.parts() == []


def test_a_filesystem_that_is_read_only(server: Server, small: Node, mounted: Path) -> None:
    small.get(server.url())
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    assert small.get(server.url("/large")).data == LARGE
    assert any("Read-only" in text for text in small.warnings)
    assert small.get(server.url(), sha256(SMALL)) == (SMALL, True), "what is there can be used"
    with pytest.raises(ProviderError, match=r"E-CACHE: .*Read-only.*; mount it writable"):
        spool([b"x"], small.spec, "x", lambda done, total: None, threading.Event())


def test_a_read_only_filesystem_without_a_cache(server: Server, small: Node, mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    assert small.get(server.url()).data == SMALL
    assert any("is not kept" in text and "Read-only" in text for text in small.warnings)
