"""The instance's disk: who may not have it, zeroing, wiping"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image import kernel
from helper_host.image.disk import HEAD, TAIL, LocalDisk, open_disk, wipe_head, write_failed

from .builders import MIB
from .conftest import new_disk

SIZE = 8 * MIB
F_OFD_SETLK = 37


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A fresh disk"""
    return new_disk(tmp_path / "disk", SIZE)


@pytest.fixture
def loop(file: Path) -> Iterator[str]:
    """A loop device on a file full of old data"""
    file.write_bytes(b"\xee" * SIZE)
    done = subprocess.run(["losetup", "-f", "--show", str(file)], check=True, capture_output=True, text=True)
    yield done.stdout.strip()
    subprocess.run(["losetup", "-d", done.stdout.strip()], check=True)


def busy(path: str, size: int = SIZE) -> str:
    """What E-DISK-BUSY says"""
    with pytest.raises(ProviderError) as caught:
        open_disk(path, size)
    assert caught.value.code == "E-DISK-BUSY"
    return caught.value.cause


def test_fresh_file(file: Path) -> None:
    with open_disk(str(file), SIZE) as disk:
        assert (disk.size, disk.is_block, disk.sector, disk.is_empty()) == (SIZE, False, 512, True)
        os.pwrite(disk.fd, b"x", MIB)
        assert not disk.is_empty()
    assert disk.fd == -1


def test_symlink_as_ganeti_makes_them(tmp_path: Path, file: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    open_disk(str(tmp_path / "link"), SIZE).close()


@pytest.mark.parametrize("size", [SIZE - 512, SIZE + 512, 0])
def test_file_of_another_size(file: Path, size: int) -> None:
    with pytest.raises(ProviderError, match=f"E-DISK-IO: .* {SIZE} bytes and Ganeti says {size}"):
        open_disk(str(file), size)


@pytest.mark.timed
def test_what_is_no_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "", "missing"):
        before = os.listdir("/proc/self/fd")
        started = time.monotonic()
        with pytest.raises(ProviderError, match="E-DISK-IO"):
            open_disk(str(tmp_path / name), SIZE)
        assert time.monotonic() - started < 1
        assert len(os.listdir("/proc/self/fd")) == len(before)


def test_two_of_us(file: Path) -> None:
    with open_disk(str(file), SIZE):
        assert "locked" in busy(str(file))
        open_disk(str(file), SIZE, alone=False).close()
    open_disk(str(file), SIZE).close()


@pytest.mark.parametrize("byte", [100, 101, 103, 201, 203])
def test_bytes_that_qemu_locks(file: Path, byte: int) -> None:
    with file.open("rb") as other:
        fcntl.fcntl(other, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0))
        assert "in use by QEMU" in busy(str(file))
        with pytest.raises(ProviderError, match="in use by QEMU"):
            open_disk(str(file), SIZE, alone=False)
    open_disk(str(file), SIZE).close()


@pytest.mark.skipif(not shutil.which("qemu-storage-daemon"), reason="needs qemu-storage-daemon")
@pytest.mark.parametrize("image", ["raw", "raw, read-only"])
def test_disk_that_a_qemu_holds(file: Path, image: str) -> None:
    read_only = "on" if "only" in image else "off"
    with subprocess.Popen(
        [
            "qemu-storage-daemon",
            *("--nbd-server", f"addr.type=unix,addr.path={file}.nbd"),
            *("--blockdev", f"driver=file,node-name=f,filename={file},read-only={read_only}"),
            *("--blockdev", f"driver=raw,node-name=d,file=f,read-only={read_only}"),
            *("--export", f"type=nbd,id=e,node-name=d,writable={'off' if read_only == 'on' else 'on'}"),
            *("--pidfile", f"{file}.pid"),  # written when all the rest is there
        ]
    ) as daemon:
        try:
            deadline = time.monotonic() + 20
            while not Path(f"{file}.pid").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            assert "in use by QEMU" in busy(str(file))
        finally:
            daemon.terminate()
    open_disk(str(file), SIZE).close()
    assert not file.read_bytes().strip(b"\0")


@pytest.mark.parametrize("can", ["punch", "zero range", "neither"])
def test_zero(file: Path, monkeypatch: pytest.MonkeyPatch, can: str) -> None:
    file.write_bytes(b"\xee" * SIZE)
    real = kernel.fallocate

    def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
        if can == "neither" or (can == "zero range" and mode & kernel.PUNCH_HOLE):
            raise OSError(errno.EOPNOTSUPP, "not supported")
        real(fd, mode, offset, length)

    monkeypatch.setattr(kernel, "fallocate", fallocate)
    with open_disk(str(file), SIZE) as disk:
        disk.zero(4096, 3 * MIB + 100)
        disk.zero(7 * MIB, MIB)
    want = bytearray(b"\xee" * SIZE)
    want[4096 : 4096 + 3 * MIB + 100] = bytes(3 * MIB + 100)
    want[7 * MIB :] = bytes(MIB)
    assert file.read_bytes() == want


@pytest.mark.parametrize("can", [True, False])
def test_clear(file: Path, monkeypatch: pytest.MonkeyPatch, can: bool) -> None:
    file.write_bytes(b"\xee" * SIZE)
    if not can:

        def fallocate(*_: object) -> None:
            raise OSError(errno.EOPNOTSUPP, "not supported")

        monkeypatch.setattr(kernel, "fallocate", fallocate)
    with open_disk(str(file), SIZE) as disk:
        assert disk.clear(SIZE, lambda: None)
        assert disk.is_empty()
    assert file.read_bytes() == bytes(SIZE)


def test_real_errors_are_not_taken_for_missing_features(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fallocate(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(kernel, "fallocate", fallocate)
    with open_disk(str(file), SIZE) as disk, pytest.raises(OSError, match="Input/output"):
        disk.zero(0, MIB)


@pytest.mark.parametrize("size", [SIZE, MIB, 65536])
def test_wipe_head(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk"
    path.write_bytes(b"\xee" * size)
    with open_disk(str(path), size) as disk:
        wipe_head(disk)
    content = path.read_bytes()
    head, tail = min(HEAD, size), min(TAIL, size)
    assert len(content) == size
    assert not content[:head].strip(b"\0") and not content[-tail:].strip(b"\0")
    assert content[head:-tail] == b"\xee" * max(0, size - head - tail)


@pytest.mark.parametrize(
    ("code", "is_block", "words"),
    [
        (errno.ENOSPC, False, "filesystem that holds .* is full .*make room in /srv"),
        (errno.EDQUOT, False, "filesystem that holds"),
        (errno.ENOSPC, True, "storage behind .* is full"),
        (errno.EIO, True, "could not be written .*dmesg"),
    ],
)
def test_errors_say_what_to_do(code: int, is_block: bool, words: str) -> None:
    disk = LocalDisk("/srv/disk0", -1, SIZE, is_block=is_block, sector=512)
    with pytest.raises(ProviderError, match=f"E-DISK-IO: .*{words}"):
        raise write_failed(disk, OSError(code, os.strerror(code)))


# --- block devices --------------------------------------------------------------------------------------------------


@pytest.mark.root
def test_block_device(loop: str) -> None:
    with open_disk(loop, SIZE - MIB) as disk:
        assert (disk.size, disk.is_block, disk.sector, disk.is_empty()) == (SIZE - MIB, True, 512, False)
        assert "otherwise in use" in busy(loop)
    with pytest.raises(ProviderError, match="E-DISK-IO"):
        open_disk(loop, SIZE + MIB)


@pytest.mark.root
def test_mounted_device(loop: str, tmp_path: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", loop], check=True)
    (tmp_path / "mnt").mkdir()
    subprocess.run(["mount", "-t", "ext4", loop, str(tmp_path / "mnt")], check=True)
    try:
        assert "mounted" in busy(loop)
        open_disk(loop, SIZE, alone=False).close()
    finally:
        subprocess.run(["umount", str(tmp_path / "mnt")], check=True)


@pytest.mark.root
def test_file_under_a_loop_device(loop: str, file: Path) -> None:
    assert "loop device" in busy(str(file))
    open_disk(str(file), SIZE, alone=False).close()


@pytest.mark.root
@pytest.mark.parametrize("can", ["punch", "zero range", "neither"])
def test_zero_on_a_device(loop: str, monkeypatch: pytest.MonkeyPatch, can: str) -> None:
    real = kernel.fallocate

    def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
        if can == "neither" or (can == "zero range" and mode & kernel.PUNCH_HOLE):
            raise OSError(errno.EOPNOTSUPP, "not supported")
        real(fd, mode, offset, length)

    monkeypatch.setattr(kernel, "fallocate", fallocate)
    with open_disk(loop, SIZE) as disk:
        disk.zero(MIB, MIB)
        disk.zero(3 * MIB + 100, 50)
        disk.sync()
    want = bytearray(b"\xee" * SIZE)
    want[MIB : 2 * MIB] = bytes(MIB)
    want[3 * MIB + 100 : 3 * MIB + 150] = bytes(50)
    assert Path(loop).read_bytes() == want
