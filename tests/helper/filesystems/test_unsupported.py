"""What the helper's kernel can't mount is named; what mkfs makes here is not among it"""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from helper_agent.filesystems import btrfs, ext, f2fs, xfs
from helper_agent.run import run
from tests.helper.support import Recorded

MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-O", "orphan_file,metadata_csum_seed,casefold,quota,project,inline_data,encrypt,"
             "verity,large_dir,ea_inode,bigalloc,mmp"],
    "ext3": ["mkfs.ext3", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-i", "nrext64=1", "-m", "bigtime=1,inobtcount=1,rmapbt=1,reflink=1"],
    "xfs-old": ["mkfs.xfs", "-q", "-f", "-m", "crc=0"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-O", "no-holes", "-R", "quota,free-space-tree"],
}  # fmt: skip
MODULES = {"ext": ext, "xfs": xfs, "btrfs": btrfs}


def made(folder: Path, kind: str) -> Path:
    file = folder / "filesystem"
    with file.open("wb") as new:
        new.truncate(310 << 20)
    subprocess.run([*MKFS[kind], str(file)], check=True, capture_output=True)
    return file


def patched(file: Path, at: int, form: str, bit: int) -> str:
    with file.open("r+b") as disk:
        disk.seek(at)
        value = struct.unpack(form, disk.read(struct.calcsize(form)))[0]
        disk.seek(at)
        disk.write(struct.pack(form, value | 1 << bit))
    return str(file)


@pytest.mark.programs
@pytest.mark.parametrize("kind", MKFS)
def test_what_mkfs_makes_is_known(kind: str, tmp_path: Path) -> None:
    module = next(module for name, module in MODULES.items() if kind.startswith(name))
    assert module.unsupported(str(made(tmp_path, kind))) is None


@pytest.mark.programs
@pytest.mark.parametrize(
    ("kind", "at", "form", "bit", "words"),
    [
        ("ext4", 1024 + 96, "<I", 31, "bit 31"),
        ("ext4", 1024 + 100, "<I", 20, "bit 20"),
        ("xfs", 216, ">I", 6, "exchange"),
        ("xfs", 216, ">I", 7, "parent"),
        ("xfs", 212, ">I", 9, "bit 9"),
        ("btrfs", 65536 + 0xBC, "<Q", 14, "raid-stripe-tree"),
    ],
)
def test_what_is_newer_is_named(kind: str, at: int, form: str, bit: int, words: str, tmp_path: Path) -> None:
    module = next(module for name, module in MODULES.items() if kind.startswith(name))
    found = module.unsupported(patched(made(tmp_path, kind), at, form, bit))
    assert found is not None
    assert found[0].endswith(words)
    assert "newer kernel" in found[1]


@pytest.mark.programs
def test_several_devices(tmp_path: Path) -> None:
    found = btrfs.unsupported(patched(made(tmp_path, "btrfs"), 65536 + 0x88, "<Q", 1))
    assert found is not None
    assert "spans 3 devices" in found[0]


@pytest.mark.programs
def test_f2fs_is_grown_unmounted(tmp_path: Path) -> None:
    file = tmp_path / "f2fs"
    with file.open("wb") as new:
        new.truncate(128 << 20)
    subprocess.run(["mkfs.f2fs", "-q", str(file)], check=True, capture_output=True)

    def blocks() -> int:
        """block_count of the superblock (fs/f2fs: struct f2fs_super_block)"""
        return int(struct.unpack_from("<Q", file.read_bytes()[:2048], 1024 + 36)[0])

    before = blocks()
    os.truncate(file, 400 << 20)
    f2fs.grow_offline(str(file), run, Recorded())
    assert blocks() > 2 * before
    subprocess.run(["fsck.f2fs", str(file)], check=True, capture_output=True)
