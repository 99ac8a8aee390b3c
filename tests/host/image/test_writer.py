"""An image onto a disk: exact bytes, nothing of the last tenant, the head last, every failure clean"""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_host.errors import ProviderError
from helper_host.image import kernel, target
from helper_host.image.disk import HEAD, TAIL, LocalDisk, open_disk
from helper_host.image.image import Image
from helper_host.image.opening import open_image
from helper_host.image.sources import Places
from helper_host.image.target import runs
from helper_host.image.writer import Writer

from .builders import CLUSTER, COPIED, MIB, deflated, packed_entry, qcow2
from .conftest import Opener, deploy, new_disk, quiet

OLD = b"\xee"


def scattered(size: int, seed: int = 1) -> bytes:
    """Data, zero blocks and zero runs of all lengths"""
    chance = random.Random(seed)
    parts: list[bytes] = []
    length = 0
    while length < size:
        part = chance.choice([512, 4096, 5000, 65536, 300_000, 3 * MIB])
        parts.append(chance.randbytes(part) if chance.random() < 0.5 else bytes(part))
        length += part
    return b"".join(parts)[:size]


@pytest.fixture
def punched(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs a test with and without holes that can be punched"""
    if request.param == "no holes":

        def fallocate(*_: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "not supported")

        monkeypatch.setattr(kernel, "fallocate", fallocate)
        monkeypatch.setattr(LocalDisk, "clear", lambda *_: False)
    yield


HOLES = pytest.mark.parametrize("punched", ["holes", "no holes"], indirect=True)


@pytest.mark.parametrize("old", [b"", OLD], ids=["fresh", "reused"])
@pytest.mark.parametrize("extra", [0, 512, 5 * MIB])
@HOLES
@pytest.mark.usefixtures("punched")
def test_exact_bytes(opened: Opener, tmp_path: Path, old: bytes, extra: int) -> None:
    content = scattered(13 * MIB + 512)
    disk = new_disk(tmp_path / "disk", len(content) + extra)
    if old:
        disk.write_bytes(old * disk.stat().st_size)
    deploy(opened(content, "raw"), disk)
    assert disk.read_bytes() == content + bytes(extra)


@pytest.mark.parametrize(
    "size", [512, 4096, HEAD - 512, HEAD, HEAD + 512, HEAD + TAIL, HEAD + TAIL + 512, 2 * MIB + 512]
)
@pytest.mark.parametrize("old", [b"", OLD], ids=["fresh", "reused"])
def test_small_images(opened: Opener, tmp_path: Path, size: int, old: bytes) -> None:
    content = random.Random(size).randbytes(size)
    disk = tmp_path / "disk"
    disk.write_bytes(old * 4 * MIB) if old else new_disk(disk, 4 * MIB)
    deploy(opened(content, "raw"), disk)
    assert disk.read_bytes() == content.ljust(4 * MIB, b"\0")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(st.tuples(st.booleans(), st.integers(1, 900)), min_size=1, max_size=20),
    extra=st.integers(0, 3000),
    old=st.booleans(),
)
def test_any_layout(opened: Opener, tmp_path: Path, parts: list[tuple[bool, int]], extra: int, old: bool) -> None:
    content = b"".join((b"\x11" if data else b"\0") * 4096 * length for data, length in parts)
    disk = new_disk(tmp_path / "disk", len(content) + extra * 512)
    if old:
        disk.write_bytes(OLD * disk.stat().st_size)
    deploy(opened(content, "raw"), disk)
    assert disk.read_bytes() == content + bytes(extra * 512)


def test_rest_is_left_alone_if_wanted(opened: Opener, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(OLD * 8 * MIB)
    deploy(opened(b"\1" * 3 * MIB, "raw"), disk, clear_rest=False)
    content = disk.read_bytes()
    assert content[: 3 * MIB] == b"\1" * 3 * MIB
    assert content[3 * MIB : -TAIL] == OLD * (5 * MIB - TAIL)
    assert content[-TAIL:] == bytes(TAIL), "an old GPT's second header would be believed"


def test_zeros_take_no_space(opened: Opener, tmp_path: Path) -> None:
    content = bytearray(64 * MIB)
    for offset in (0, 10 * MIB, 40 * MIB):
        content[offset : offset + 4096] = b"\1" * 4096
    disk = new_disk(tmp_path / "disk", 256 * MIB)
    result = deploy(opened(bytes(content), "raw"), disk)
    assert result.written == 3 * 4096
    assert disk.stat().st_blocks * 512 < MIB


def test_reused_file_gives_its_space_back(opened: Opener, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(OLD * 64 * MIB)
    deploy(opened(b"\1" * MIB, "raw"), disk)
    assert disk.stat().st_blocks * 512 < 4 * MIB


def test_qcow2_with_everything(opened: Opener, tmp_path: Path) -> None:
    packed = deflated(b"\7" * CLUSTER)
    table = {0: COPIED | 5 * CLUSTER, 3: packed_entry(6 * CLUSTER, len(packed)), 9: 1, 63: COPIED | 5 * CLUSTER}
    data = b"\5" * CLUSTER + packed.ljust(CLUSTER, b"\0")
    disk = tmp_path / "disk"
    disk.write_bytes(OLD * 6 * MIB)
    deploy(opened(qcow2(l2=table, data=data)), disk)
    want = bytearray(6 * MIB)
    want[:CLUSTER] = want[63 * CLUSTER : 64 * CLUSTER] = b"\5" * CLUSTER
    want[3 * CLUSTER : 4 * CLUSTER] = b"\7" * CLUSTER
    assert disk.read_bytes() == want


def test_head_and_tail_come_last(opened: Opener, tmp_path: Path) -> None:
    content = random.Random(5).randbytes(6 * MIB)
    path = tmp_path / "disk"
    path.write_bytes(OLD * 6 * MIB)
    with open_disk(str(path), 6 * MIB) as disk:
        writer = Writer(opened(content, "raw"), disk)
        writer.write(quiet, threading.Event())
        half = path.read_bytes()
        assert half == bytes(HEAD) + content[HEAD:-TAIL] + bytes(TAIL)
        writer.write_head()
    assert path.read_bytes() == content


@pytest.mark.parametrize("missing", [512, MIB])
def test_disk_too_small(opened: Opener, tmp_path: Path, missing: int) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(OLD * (4 * MIB - missing))
    with pytest.raises(ProviderError, match="E-DISK-SMALL: The image needs a disk of 4 MiB, this one has 3 MiB; "):
        deploy(opened(b"\1" * 4 * MIB, "raw"), disk)
    assert disk.read_bytes() == OLD * (4 * MIB - missing)


def test_damaged_map_leaves_the_disk_alone(opened: Opener, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(OLD * 4 * MIB)
    with pytest.raises(ProviderError, match="E-IMAGE-REFUSED"):
        deploy(opened(qcow2(l2={0: COPIED | 5 * CLUSTER, 60: COPIED | 1 << 40})), disk)
    assert disk.read_bytes() == OLD * 4 * MIB


def test_damaged_cluster_leaves_no_head(opened: Opener, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(OLD * 4 * MIB)
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .*compressed"):
        deploy(opened(qcow2(l2={40: packed_entry(5 * CLUSTER, 100)}, data=b"\xff" * CLUSTER)), disk)
    assert disk.read_bytes()[:HEAD] == bytes(HEAD)


def test_image_that_changes_leaves_no_head(opened: Opener, tmp_path: Path) -> None:
    disk = new_disk(tmp_path / "disk", 8 * MIB)
    image = opened(b"\1" * 8 * MIB, "raw")
    with open_disk(str(disk), 8 * MIB) as target_disk:
        writer = Writer(image, target_disk)
        writer.check()
        os.truncate(image.path, 3 * MIB)
        with pytest.raises(ProviderError, match="changed while it was used"):
            writer.write(quiet, threading.Event())
    assert disk.read_bytes()[:HEAD] == bytes(HEAD)


def test_progress_grows_to_the_end(opened: Opener, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with open_disk(str(new_disk(tmp_path / "disk", 20 * MIB)), 20 * MIB) as disk:
        writer = Writer(opened(scattered(15 * MIB), "raw"), disk)
        writer.write(lambda done, total: seen.append((done, total)), threading.Event())
    assert seen == sorted(seen) and seen[-1] == (15 * MIB, 15 * MIB)


def test_cancel_in_the_middle(opened: Opener, tmp_path: Path) -> None:
    path = new_disk(tmp_path / "disk", 64 * MIB)
    cancel = threading.Event()
    before = threading.active_count()
    with open_disk(str(path), 64 * MIB) as disk:
        writer = Writer(opened(b"\1" * 64 * MIB, "raw"), disk)
        with pytest.raises(ProviderError, match="E-INTERRUPTED"):
            writer.write(lambda done, total: cancel.set(), cancel)
    assert threading.active_count() == before
    assert path.read_bytes()[:HEAD] == bytes(HEAD)
    assert path.stat().st_blocks * 512 < 16 * MIB


def test_cancel_before_anything(opened: Opener, tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(OLD * 4 * MIB)
    cancel = threading.Event()
    cancel.set()
    with open_disk(str(path), 4 * MIB) as disk, pytest.raises(ProviderError, match="E-INTERRUPTED"):
        Writer(opened(b"\1" * MIB, "raw"), disk).write(quiet, cancel)
    assert path.read_bytes() == OLD * 4 * MIB


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_failing_write(opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    real = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if offset >= 5 * MIB:
            raise OSError(code, os.strerror(code))
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    path = new_disk(tmp_path / "disk", 16 * MIB)
    with pytest.raises(ProviderError, match="E-DISK-IO") as caught:
        deploy(opened(b"\1" * 16 * MIB, "raw"), path)
    assert ("full" in caught.value.cause) == (code == errno.ENOSPC)
    assert path.read_bytes()[:HEAD] == bytes(HEAD)


def test_runs() -> None:
    buffer = bytearray(b"\0" * 8192 + b"\1" * 4096 + b"\0" * 100 + b"\xff" * 9999)
    assert list(runs(buffer, 8192 + 4096 + 100, 4096)) == [(0, 8192, True), (8192, 12288, False), (12288, 12388, True)]
    assert list(runs(buffer, 0, 4096)) == []
    assert list(runs(bytearray(b"\0" * 4095 + b"\1"), 4096, 4096)) == [(0, 4096, False)]
    assert list(runs(bytearray(100), 100, target.COARSE)) == [(0, 100, True)]


def test_memory_is_bounded(places: Places, tmp_path: Path) -> None:
    """A process of its own that writes 300 MiB stays small"""
    with (Path(places.store) / "image.raw").open("wb") as file:
        for _ in range(300):
            file.write(b"\1" * MIB)
    disk = new_disk(tmp_path / "disk", 300 * MIB)
    program = (
        "import sys, threading, resource\n"
        "from helper_host.image.opening import open_image; from helper_host.image.disk import open_disk\n"
        "from helper_host.image.writer import Writer; from helper_host.image.sources import Places\n"
        "writer = Writer(open_image('image', places=Places(sys.argv[1], ())), open_disk(sys.argv[2], 300 << 20))\n"
        "writer.write(lambda done, total: None, threading.Event()); writer.write_head()\n"
        "print(int(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, places.store, str(disk)],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert int(done.stdout) < 60 * 1024


# --- devices and filesystems ----------------------------------------------------------------------------------------


@pytest.mark.root
@HOLES
@pytest.mark.usefixtures("punched")
def test_block_device(opened: Opener, tmp_path: Path) -> None:
    backing = tmp_path / "backing"
    backing.write_bytes(OLD * 16 * MIB)
    argv = ["losetup", "-f", "--show", str(backing)]
    loop = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        content = scattered(13 * MIB, 7)
        with open_disk(loop, 16 * MIB) as disk:
            writer = Writer(opened(content, "raw"), disk)
            writer.write(quiet, threading.Event())
            assert Path(loop).read_bytes()[:HEAD] == bytes(HEAD)
            writer.write_head()
        assert Path(loop).read_bytes() == content.ljust(16 * MIB, b"\0")
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)


@pytest.fixture
def small_filesystem(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A filesystem of its own in a file"""
    kind, size = request.param
    image, folder = tmp_path / "fs", tmp_path / "mnt"
    new_disk(image, size)
    folder.mkdir()
    subprocess.run([f"mkfs.{kind}", str(image)], check=True, capture_output=True)
    subprocess.run(["mount", "-o", "loop", "-t", kind, str(image), str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
@pytest.mark.parametrize("small_filesystem", [("ext4", 32 * MIB)], indirect=True, ids=["ext4"])
def test_full_filesystem(opened: Opener, small_filesystem: Path) -> None:
    """A sparse disk that its filesystem has no room for"""
    disk = new_disk(small_filesystem / "disk", 64 * MIB)
    with pytest.raises(ProviderError, match=r"E-DISK-IO: The filesystem that holds .* is full"):
        deploy(opened(b"\1" * 64 * MIB, "raw"), disk)


@pytest.mark.root
@pytest.mark.parametrize(
    "small_filesystem", [("btrfs", 256 * MIB), ("xfs", 400 * MIB)], indirect=True, ids=["btrfs", "xfs"]
)
@pytest.mark.parametrize("old", [b"", OLD], ids=["fresh", "reused"])
def test_shared_blocks(small_filesystem: Path, old: bytes) -> None:
    content = scattered(20 * MIB + 512, 3)
    (small_filesystem / "image.raw").write_bytes(content)
    disk = new_disk(small_filesystem / "disk", 30 * MIB)
    if old:
        disk.write_bytes(old * 30 * MIB)
    image = open_image("image", places=Places(str(small_filesystem), ()), image_format="raw")
    assert isinstance(image, Image)
    with image:
        result = deploy(image, disk)
    assert result.shared > 18 * MIB and result.written < 2 * MIB
    assert disk.read_bytes() == content.ljust(30 * MIB, b"\0")
