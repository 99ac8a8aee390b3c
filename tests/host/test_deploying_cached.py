"""Whole deployments of one URL at once: one download, whatever happens to one of them"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.host.deploying import CANARY, MIB, Bench, checked, failed
from tests.host.image.cache.server import Server, serving
from tests.host.image.cache.using import Node, sha256, wait_for
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

HELD = 5 * MIB


class Site:
    """A server with an image, and instances on a node that take it from there"""

    def __init__(self, folder: Path, server: Server, stack: ExitStack) -> None:
        self.folder, self.server, self._stack = folder, server, stack
        self.cache = Node(folder / "cache")
        self.image = os.urandom(MIB) + bytes(2 * MIB) + os.urandom(5 * MIB)
        server.files["/debian.raw"] = self.image

    def bench(self, name: str) -> Bench:
        bench = self._stack.enter_context(checked(Bench(self.folder / name)))
        bench.image.write_bytes(self.image)
        bench.parameters["image"] = self.server.url("/debian.raw")
        bench.settings |= {"cache_folder": str(self.cache.folder), "cache_size_mib": 100}
        return bench

    def reading(self) -> int:
        """How many processes have the download open: deployments, and not the guards that belong to them"""
        found = set()
        for path in Path("/proc").glob("[0-9]*/fd/*"):
            try:
                if os.readlink(path).startswith(f"{self.cache.folder}/parts/") and ".part" in path.readlink().name:
                    found.add(path.parts[2])
            except OSError:
                continue
        return len(found)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving() as server, ExitStack() as stack:
        yield Site(tmp_path, server, stack)


def start(bench: Bench) -> subprocess.Popen[bytes]:
    return bench.start(fake_qemu.good())


def test_eight_at_once_with_a_cold_cache(site: Site) -> None:
    benches = [site.bench(f"i{number}") for number in range(8)]
    site.server.rate = 4 * MIB
    since = time.monotonic()
    processes = [start(bench) for bench in benches]
    for bench, process in zip(benches, processes, strict=True):
        ended = bench.finish(process, since)
        assert ended.code == 0, ended.log
        assert bench.is_deployed()
        assert "canary" not in ended.log and CANARY not in ended.log
    assert len(site.server.asked) == 1
    assert site.cache.objects() == [sha256(site.image)]
    assert site.cache.parts() == []


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_one_that_fetches_is_ended_while_others_wait(site: Site, number: signal.Signals) -> None:
    site.server.hold_at = HELD
    first, *others = [site.bench(f"i{number}") for number in range(4)]
    since = time.monotonic()
    victim = start(first)
    wait_for(site.cache.parts)
    processes = [start(bench) for bench in others]
    wait_for(lambda: site.reading() == 4, 20)
    victim.send_signal(number)
    ended = first.finish(victim, since)
    assert ended.code != 0
    assert first.head_is_empty() or first.is_old()
    site.server.go.set()
    for bench, process in zip(others, processes, strict=True):
        ended = bench.finish(process, since)
        assert ended.code == 0, ended.log
        assert bench.is_deployed()
    one, two = site.server.gets()
    assert one.start == 0 and two.start > 0, "resumed"
    again = first.create(fake_qemu.good())
    assert again.code == 0, again.log
    assert first.is_deployed()
    assert site.cache.objects() == [sha256(site.image)]


def test_the_one_that_fetches_has_too_small_a_disk(site: Site) -> None:
    site.server.hold_at = HELD
    site.server.lengths = False
    first, second = site.bench("small"), site.bench("good")
    os.truncate(first.disk, 4 * MIB)
    since = time.monotonic()
    failing = first.start(fake_qemu.good(), DISK_0_SIZE="4")
    wait_for(site.cache.parts)
    process = start(second)
    failed(first.finish(failing, since), "E-DISK-SMALL")
    site.server.go.set()
    ended = second.finish(process, since)
    assert ended.code == 0, ended.log
    assert second.is_deployed()


def test_a_damaged_copy_never_gets_onto_a_disk(site: Site) -> None:
    site.cache.get(site.server.url("/debian.raw"))
    site.cache.damage()
    bench = site.bench("i")
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed()
    assert "was damaged on the disk" in ended.log
    assert [each.status for each in site.server.asked] == [200, 304, 200]


def test_a_copy_is_enough_where_its_hash_is_known(site: Site) -> None:
    site.cache.get(site.server.url("/debian.raw"))
    bench = site.bench("i")
    bench.parameters["image_checksum"] = f"sha256:{sha256(site.image)}"
    site.server.down = True
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed()
    assert len(site.server.asked) == 1


def test_a_download_with_the_wrong_checksum(site: Site) -> None:
    bench = site.bench("i")
    bench.parameters["image_checksum"] = "sha256:" + "0" * 64
    failed(bench.create([fake_qemu.HELLO, ["hang"]]), "E-IMAGE-CHECKSUM")
    assert bench.head_is_empty() or bench.is_old()
    assert site.cache.objects() == [] and site.cache.parts() == []
