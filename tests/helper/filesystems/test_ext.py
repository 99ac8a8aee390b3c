"""ext2, ext3, ext4: what the superblock says, and the choice between growing mounted and unmounted"""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.filesystems import ext
from helper_agent.filesystems.base import Offline
from tests.helper.support import Programs, Recorded

DEVICE_MIB = 64


def device(path: Path, *, state: int = 1, features: int = 0, blocks: int = 1024, size_gib: int = 0) -> str:
    """A superblock of 4 KiB blocks on a disk's file"""
    head = bytearray(4096)
    struct.pack_into("<I16xI", head, 1028, blocks, 2)
    struct.pack_into("<HH", head, 1080, 0xEF53, state)
    struct.pack_into("<I", head, 1120, features)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size_gib << 30 if size_gib else DEVICE_MIB << 20)
    return str(path)


@pytest.mark.parametrize(
    ("state", "features", "needed"),
    [(1, 0, False), (0, 0, True), (0, 4, False), (1 | 2, 4, True), (2, 0, True)],
    ids=["clean", "not-unmounted", "journal-waits", "errors", "errors-not-unmounted"],
)
def test_needs_repair(state: int, features: int, needed: bool, tmp_path: Path) -> None:
    assert ext.needs_repair(device(tmp_path / "d", state=state, features=features)) is needed


def test_nothing_to_grow(tmp_path: Path) -> None:
    """Not even the mounted place is opened"""
    ext.grow(device(tmp_path / "d", blocks=DEVICE_MIB * 256), "/nowhere")


def test_much_is_grown_unmounted(tmp_path: Path) -> None:
    with pytest.raises(Offline):
        ext.grow(device(tmp_path / "d", size_gib=100), "/nowhere")


def test_a_kernel_that_can_not(tmp_path: Path) -> None:
    """The ioctl on a folder of another filesystem"""
    with pytest.raises(Offline):
        ext.grow(device(tmp_path / "d"), str(tmp_path))


def test_offline_is_a_check_and_then_growth() -> None:
    programs, log = Programs(), Recorded()
    programs.answer("e2fsck", returncode=1)
    programs.answer("resize2fs")
    ext.grow_offline("/dev/x", programs, log)
    assert [call[0] for call in programs.calls] == ["e2fsck", "resize2fs"]
    assert log.of("warning") == ["The filesystem on /dev/x had errors, e2fsck repaired them"]


@pytest.mark.parametrize("code", [4, 8, 12, 16, 32, 128])
def test_errors_that_stay(code: int) -> None:
    programs = Programs()
    programs.answer("e2fsck", "UNEXPECTED INCONSISTENCY", returncode=code)
    with pytest.raises(TaskError) as error:
        ext.repair("/dev/x", programs, Recorded())
    assert error.value.code == "E-FILESYSTEM"
    assert "UNEXPECTED" in error.value.output
