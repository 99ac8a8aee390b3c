"""The kernel's mind about partitions, when one of them is in use and it can't read the table afresh"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from pathlib import Path

import pytest

from helper_agent import syscalls
from helper_agent.disk import devices
from helper_agent.disk.table import Partition, Table


class Fixed(Table):
    """A table of given partitions"""

    def __init__(self, *partitions: Partition, sector_size: int = 512) -> None:
        self.partitions = partitions
        self.sector_size = sector_size


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """What the kernel is told; it knows partitions 1 to 3, of 1000 sectors each"""
    for number in (1, 2, 3):
        folder = tmp_path / f"vdz/vdz{number}"
        folder.mkdir(parents=True)
        (folder / "start").write_text(f"{number * 2048}\n")
        (folder / "size").write_text("1000\n")
    monkeypatch.setattr(devices, "SYS_BLOCK", str(tmp_path))
    calls: list[tuple[int, ...]] = []
    monkeypatch.setattr(syscalls, "partition_ioctl", lambda _, *rest: calls.append(rest))
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags: real("/dev/null" if path == "/dev/vdz" else path, flags))

    def busy(_: int, request: int) -> None:
        if request == syscalls.BLKRRPART:
            raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(syscalls, "block_ioctl", busy)
    return calls


def test_only_what_changed(told: list[tuple[int, ...]]) -> None:
    grown = Partition(2, 4096, 1800, "83", "")
    devices.reread("/dev/vdz", Fixed(Partition(1, 2048, 1000, "83", ""), grown, Partition(3, 8192, 1000, "82", "")))
    assert told == [
        (syscalls.BLKPG_DEL, 3),
        (syscalls.BLKPG_RESIZE, 2, 4096 * 512, 1800 * 512),
        (syscalls.BLKPG_ADD, 3, 8192 * 512, 1000 * 512),
    ]


def test_large_sectors(told: list[tuple[int, ...]]) -> None:
    devices.reread("/dev/vdz", Fixed(Partition(1, 256, 125, "83", ""), sector_size=4096))
    assert told == []


def test_without_a_table_it_is_an_error(told: list[tuple[int, ...]]) -> None:
    with pytest.raises(OSError, match="busy"):
        devices.reread("/dev/vdz")
    assert told == []


def test_the_ioctls_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """struct blkpg_ioctl_arg points to a struct blkpg_partition of 152 bytes (include/uapi/linux/blkpg.h)"""
    seen: list[bytes] = []

    def ioctl(_: int, request: int, argument: bytes) -> None:
        assert request == 0x1269
        operation, flags, length, address = struct.unpack("=iii4xQ", argument)
        assert (operation, flags, length) == (3, 0, 152)
        seen.append(ctypes.string_at(address, length))

    monkeypatch.setattr("fcntl.ioctl", ioctl)
    syscalls.partition_ioctl(0, 3, 7, 1 << 20, 5 << 20)
    assert seen[0] == (1 << 20).to_bytes(8, "little") + (5 << 20).to_bytes(8, "little") + b"\7" + bytes(135)
