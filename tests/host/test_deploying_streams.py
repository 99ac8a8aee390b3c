"""Whole deployments of images that are written while they come: compressed files, downloads, and both at once

With a real disk, a real jail around the child that unpacks, and a scripted QEMU.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host import web
from tests.host.deploying import DISK_SIZE, MIB, Bench, checked, failed, wait_for
from tests.host.image.packing import PACK, SUFFIX, zero_bomb, zstd
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

KINDS = sorted(PACK)
CHILDREN = """
from helper_host.image import unpacking
class Child(unpacking.Child):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        with open({file!r}, "a") as file:
            file.write(f"{{self.pid}}\\n")
unpacking.Child = Child
"""


class Streams(Bench):
    """The image has bytes that don't compress, so that something is under way in every moment"""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.content = (
            b"\xfahead of the image" + bytes(MIB) + random.Random(4).randbytes(6 * MIB) + b"end " * 128 * 1024
        )
        self.image.write_bytes(self.content)
        self.children = folder / "children"
        self.prelude += CHILDREN.format(file=str(self.children))
        self.settings["cache_folder"] = str(folder / "cache")

    def use(self, packed: bytes, suffix: str, **parameters: str) -> None:
        path = self.image.parent / f"packed.{suffix}"
        path.write_bytes(packed)
        self.parameters |= {"image": str(path), **parameters}

    def left(self) -> list[int]:
        """Children that unpack and still run"""
        pids = [int(line) for line in self.children.read_text().split()] if self.children.exists() else []
        return [pid for pid in pids if b"compressions/program.py" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Streams]:
    with checked(Streams(tmp_path)) as bench:
        yield bench
    assert wait_for(lambda: not bench.left(), 2), "no child may outlive its create"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[web.Server]:
    server = web.Server(tmp_path, tls=False)
    yield server
    server.ended.set()


# --- it goes well -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_file(bench: Streams, kind: str) -> None:
    bench.use(PACK[kind](bench.content), SUFFIX[kind])
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed()
    assert f": raw+{kind}, " in ended.log and "write image" in ended.log
    assert not list((bench.folder / "cache").rglob("*")), "nothing of it is kept"


def test_a_declared_and_checked_one(bench: Streams) -> None:
    packed = PACK["xz"](bench.content)
    digest = hashlib.sha256(packed).hexdigest()
    bench.use(packed, "xz", image_format="raw+xz", image_checksum=f"sha256:{digest}")
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed()


def test_a_compressed_qcow2(bench: Streams) -> None:
    qcow2 = bench.folder / "qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", bench.image, qcow2], check=True)
    bench.use(PACK["xz"](qcow2.read_bytes()), "xz")
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed() and ": qcow2+xz, 7 MiB" in ended.log
    assert not [path for path in (bench.folder / "cache").rglob("*") if path.stat().st_size > MIB]


@pytest.mark.parametrize("kind", ["raw", *KINDS])
@pytest.mark.parametrize("cache", [0, 1000])
def test_a_download(bench: Streams, server: web.Server, kind: str, cache: int) -> None:
    packed = bench.content if kind == "raw" else PACK[kind](bench.content)
    server.answers["/image"] = web.File(packed)
    bench.settings["cache_size_mib"] = cache
    digest = hashlib.sha512(packed).hexdigest()
    bench.parameters |= {"image": server.url("/image"), "image_checksum": f"sha512:{digest}"}
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed()


def test_memory_with_a_gibibyte(bench: Streams) -> None:
    """And in little more time than it takes to write it"""
    block = random.Random(6).randbytes(MIB)
    packed = zstd((block + bytes(MIB)) * 512)
    bench.use(packed, "zst")
    os.truncate(bench.disk, 1024 * MIB)
    facts = bench.folder / "facts"
    bench.prelude += f"""
import atexit
atexit.register(lambda: open({str(facts)!r}, "w").write(open("/proc/self/status").read()))
"""
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    peak = next(line for line in facts.read_text().splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) <= 80 * 1024, peak
    written = bench.disk.read_bytes()
    assert written[-2 * MIB :] == block + bytes(MIB) and written[: 2 * MIB] == block + bytes(MIB)


# --- it is wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8, 0.9999])
def test_a_file_that_ends_early(bench: Streams, kind: str, share: float) -> None:
    packed = PACK[kind](bench.content)
    bench.use(packed[: int(len(packed) * share)], SUFFIX[kind], image_format=f"raw+{SUFFIX[kind]}")
    ended = bench.create([fake_qemu.HELLO, ["wait-go"], ["write", 0, 9 * MIB, "the VM was let go"], ["hang"]])
    failed(ended, "E-IMAGE-REFUSED")
    assert "ends early" in ended.last
    assert bench.is_old() or bench.head_is_empty()
    assert b"the VM was let go" not in bench.disk.read_bytes()
    # what is wrong with the first MiB is found before anything is written
    assert bench.is_old() == (share == 0.0)


@pytest.mark.parametrize("kind", ["raw", *KINDS])
@pytest.mark.parametrize("cache", [0, 1000])
def test_one_bit_of_a_download_is_flipped(bench: Streams, server: web.Server, kind: str, cache: int) -> None:
    packed = bytearray(bench.content if kind == "raw" else PACK[kind](bench.content))
    digest = hashlib.sha256(packed).hexdigest()
    packed[len(packed) * 2 // 3] ^= 4
    server.answers["/image"] = web.File(bytes(packed))
    bench.settings["cache_size_mib"] = cache
    bench.parameters |= {"image": server.url("/image"), "image_checksum": f"sha256:{digest}"}
    ended = bench.create([fake_qemu.HELLO, ["wait-go"], ["write", 0, 9 * MIB, "the VM was let go"], ["hang"]])
    assert ended.code == 1 and ended.last.startswith(("E-IMAGE-CHECKSUM", "E-IMAGE-REFUSED")), ended.log
    content = bench.disk.read_bytes()
    assert bench.head_is_empty() and b"head of the image" not in content and b"the VM was let go" not in content


def test_a_local_file_with_another_checksum_leaves_the_disk_alone(bench: Streams) -> None:
    bench.use(PACK["gzip"](bench.content), "gz", image_checksum="sha256:" + "0" * 64)
    ended = bench.create([fake_qemu.HELLO, ["hang"]])
    failed(ended, "E-IMAGE-CHECKSUM")
    assert bench.is_old() and "was not touched" in ended.log


@pytest.mark.parametrize("kind", ["xz", "zstd"])
def test_a_disk_that_is_too_small_by_what_the_file_says(bench: Streams, kind: str) -> None:
    bench.use(PACK[kind](bytes(DISK_SIZE + 512)), SUFFIX[kind])
    failed(bench.create(fake_qemu.good()), "E-DISK-SMALL", within=5)
    assert bench.is_old()


def test_a_bomb(bench: Streams) -> None:
    """60 TB of zeros in 15,000 frames of 4 GiB, of which nothing is said before"""
    bench.use(zero_bomb(4 << 30) * 60, "zst")
    failed(bench.create([fake_qemu.HELLO, ["hang"]]), "E-DISK-SMALL", within=8)
    assert bench.head_is_empty()


def test_a_disk_whose_filesystem_is_full(bench: Streams, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", small], check=True)
    try:
        bench.disk = small / "disk"
        with bench.disk.open("wb") as file:
            file.truncate(DISK_SIZE)
        bench.use(PACK["zstd"](bench.content), "zst")
        ended = bench.create([fake_qemu.HELLO, ["hang"]])
        failed(ended, "E-DISK-IO")
        assert "is full" in ended.last and bench.head_is_empty()
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, "E-NODE"), (signal.SIGSEGV, "E-IMAGE-REFUSED")])
def test_the_child_that_unpacks_is_killed(bench: Streams, number: signal.Signals, code: str) -> None:
    bench.prelude += f"""
import os
from helper_host.image.target import Target
def put(target, *arguments, put=Target.put):
    for pid in open({str(bench.children)!r}).read().split()[-1:]:
        os.kill(int(pid), {int(number)})
    put(target, *arguments)
Target.put = put
def finish(child, cancel, finish=unpacking.Child.finish):
    os.kill(child.pid, {int(number)})
    return finish(child, cancel)
"""
    bench.use(PACK["bzip2"](bench.content), "bz2")
    failed(bench.create([fake_qemu.HELLO, ["hang"]]), code)
    assert bench.head_is_empty()


# --- it is interrupted ------------------------------------------------------------------------------------------------

AT = """
import os
from helper_host import deployment
from helper_host.image import opening, stream_image, stream_writer, target, unpacked, unpacking
def at(where, name, after=False):
    plain = getattr(where, name)
    def stopped(*arguments, **named):
        if not after:
            os.kill(os.getpid(), {number})
        result = plain(*arguments, **named)
        if after:
            os.kill(os.getpid(), {number})
        return result
    setattr(where, name, stopped)
at({where})
"""
CHECKPOINTS = {
    "looking at the head": 'unpacked.Unpacked, "peek"',
    "opened": 'deployment, "open_image", True',
    "the child has started": 'unpacking.Child, "feed"',
    "old content is taken away": 'target.Target, "prepare"',
    "first bytes": 'target.Target, "put"',
    "the end is looked at": 'stream_image.StreamImage, "check_end"',
    "before the head": 'stream_writer.StreamWriter, "write_head"',
    "after the head": 'stream_writer.StreamWriter, "write_head", True',
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_interrupted(bench: Streams, number: signal.Signals, checkpoint: str) -> None:
    bench.prelude += AT.format(number=int(number), where=CHECKPOINTS[checkpoint])
    bench.use(PACK["gzip"](bench.content), "gz")
    ended = bench.create([fake_qemu.HELLO, ["wait-go"], ["hang"]])
    if number == signal.SIGKILL:
        assert ended.code == -signal.SIGKILL
        # the guard has the last word, and the jailed die with their parent
        assert wait_for(lambda: not bench.qemus() and not bench.left(), 5)
        assert wait_for(lambda: bench.is_old() or bench.head_is_empty(), 5)
        bench.prelude = bench.prelude.replace(AT.format(number=int(number), where=CHECKPOINTS[checkpoint]), "")
        again = bench.create(fake_qemu.good())
        assert again.code == 0 and bench.is_deployed(), again.log
    else:
        failed(ended, "E-INTERRUPTED", within=8)
        assert bench.is_old() or bench.head_is_empty()


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_while_nothing_comes(bench: Streams, server: web.Server, number: signal.Signals) -> None:
    """Within a second, whoever is waited for"""
    file = web.File(PACK["xz"](bench.content))
    file.cuts, file.stall = {0: 3 * MIB}, server.ended
    server.answers["/image"] = file
    bench.parameters["image"] = server.url("/image")
    bench.settings["cache_size_mib"] = 0
    process = bench.start([fake_qemu.HELLO, ["hang"]])
    assert wait_for(bench.head_is_empty)
    time.sleep(0.5)
    since = time.monotonic()
    os.kill(process.pid, number)
    ended = bench.finish(process, since)
    # a second, and some for the VM's end on a busy machine
    failed(ended, "E-INTERRUPTED", within=3)
    assert bench.head_is_empty()


def test_the_clock(bench: Streams, server: web.Server) -> None:
    file = web.File(PACK["xz"](bench.content))
    file.cuts, file.stall = {0: 3 * MIB}, server.ended
    server.answers["/image"] = file
    bench.parameters["image"] = server.url("/image")
    bench.settings |= {"total_timeout": 3, "total_timeout_per_gib": 0.001, "cache_size_mib": 0}
    ended = bench.create([fake_qemu.HELLO, ["hang"]])
    failed(ended, "E-DISK-IO", within=6)
    assert "Getting the image and writing it took longer than 3 s" in ended.last
