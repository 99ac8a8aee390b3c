"""What grows: the root in volumes, the root with swap behind it, the partition that was asked for, or nothing"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.vm import disks, stacks
from tests.vm.deploying import MIB, Node, looked_at, loop_device
from tests.vm.test_matrix import CHECKS

pytestmark = pytest.mark.vm
DISK_MIB = 700


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


def rows(disk: str) -> list[dict[str, Any]]:
    """The partitions, as sfdisk reads the table"""
    done = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True, text=True)
    verified = subprocess.run(["sfdisk", "--verify", disk], check=False, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["partitiontable"]["partitions"]
    return found


def row(disk: str, number: int) -> tuple[int, int, dict[str, Any]]:
    """Offset and size of a partition in bytes, and all of its row"""
    one = next(one for one in rows(disk) if one["node"].endswith(f"disk{number}"))
    return one["start"] * 512, one["size"] * 512, one


@pytest.mark.parametrize("layout", disks.VOLUMES)
def test_a_root_in_volumes(node: Node, tmp_path: Path, layout: str) -> None:
    image = disks.build(tmp_path / "image.raw", layout, "ext4")
    disk = node.disk(DISK_MIB)
    locked = {"luks_key": stacks.KEY} if "luks" in layout else {}
    deployed = node.create(disk, image=str(image.path), swap="file:16", **locked)
    deployed.succeeded()
    assert stacks.KEY not in deployed.log
    offset, size, _ = row(disk.path, image.root.number)
    assert size > (DISK_MIB - 8) * MIB - offset, "the partition has grown to the disk's end"
    plain = stacks.unwrapped(disk.path, offset, size, image.root.wrap, tmp_path)
    subprocess.run([*CHECKS["ext4"], plain], check=True, capture_output=True)
    with looked_at(plain, 0, 0, "ext4", tmp_path) as root:
        space = os.statvfs(root)
        assert space.f_blocks * space.f_frsize > 0.85 * (size - 32 * MIB), "the filesystem has grown"
        assert (root / "etc/hostname").read_text() == "web\n"
        assert (root / "swapfile").stat().st_size == 16 * MIB


def test_a_wrong_passphrase(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt-luks1", "ext4")
    wrong = "canary-wrong-44c1"
    deployed = node.create(node.disk(DISK_MIB), image=str(image.path), luks_key=wrong)
    deployed.failed("E-OPTION")
    assert wrong not in deployed.log
    without = node.create(node.disk(DISK_MIB), image=str(image.path))
    without.failed("E-NO-SYSTEM")
    assert "luks_key" in without.last


@pytest.mark.parametrize(("layout", "swap"), [("gpt-swap", 4), ("msdos-swap", 2), ("msdos-swap-in-extended", 5)])
def test_swap_behind_the_root_is_moved(node: Node, tmp_path: Path, layout: str, swap: int) -> None:
    image = disks.build(tmp_path / "image.raw", layout, "ext4")
    identity = next(part.uuid for part in image.parts if part.filesystem == "swap")
    _, swap_size, before = row(str(_named_disk(image.path)), swap)
    disk = node.disk(DISK_MIB)
    node.create(disk, image=str(image.path)).succeeded()
    start, size, after = row(disk.path, swap)
    assert size == swap_size
    assert start + size > (DISK_MIB - 2) * MIB
    assert (after["type"], after.get("uuid")) == (before["type"], before.get("uuid"))
    offset, size, _ = row(disk.path, image.root.number)
    assert size > (DISK_MIB - 20) * MIB - offset, "the root has all but the swap"
    with loop_device(disk.path, start, swap_size) as device:
        found = subprocess.run(["blkid", "-p", "-o", "value", "-s", "UUID", device], check=True, capture_output=True)
    assert found.stdout.decode().strip() == identity
    with looked_at(disk.path, offset, size, "ext4", tmp_path) as root:
        space = os.statvfs(root)
        assert space.f_blocks * space.f_frsize > 0.85 * size


def _named_disk(path: Path) -> Path:
    """sfdisk names partitions after the file, and `row` looks for a disk"""
    link = path.with_name("image-disk")
    link.unlink(missing_ok=True)
    link.symlink_to(path)
    return link


@pytest.mark.parametrize(("resize", "grown"), [("auto", 0), ("no", 0), ("1", 0), ("2", 2)])
def test_what_resize_says(node: Node, tmp_path: Path, resize: str, grown: int) -> None:
    """The root, and data behind it"""
    image = disks.build(tmp_path / "image.raw", "gpt-data", "ext4")
    disk = node.disk(DISK_MIB)
    deployed = node.create(disk, image=str(image.path), resize=resize)
    if resize == "1":
        deployed.failed("E-OPTION")
        assert "partition 2 behind it holds ext4" in deployed.last
        return
    deployed.succeeded()
    assert ("the space stays free" in deployed.log) == (resize == "auto")
    for part in image.parts:
        offset, size, _ = row(disk.path, part.number)
        assert (size > part.size) == (part.number == grown)
        with looked_at(disk.path, offset, size, "ext4", tmp_path) as root:
            space = os.statvfs(root)
            assert (space.f_blocks * space.f_frsize > part.size) == (part.number == grown)


def test_an_esp_is_never_grown(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt-esp", "ext4")
    deployed = node.create(node.disk(DISK_MIB), image=str(image.path), resize="1")
    deployed.failed("E-OPTION")
    assert "EFI system partition" in deployed.last


NEWEST = {
    "ext4": ["-O", "orphan_file,metadata_csum_seed,casefold,quota,project,inline_data,64bit"],
    "xfs": ["-i", "nrext64=1", "-m", "bigtime=1,inobtcount=1,rmapbt=1,reflink=1,finobt=1"],
    "btrfs": ["-O", "no-holes", "-R", "quota,free-space-tree", "--csum", "xxhash"],
}


@pytest.mark.parametrize("filesystem", NEWEST)
def test_the_newest_features(node: Node, tmp_path: Path, filesystem: str) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", filesystem, mkfs=NEWEST[filesystem])
    if filesystem == "ext4":
        # mke2fs doesn't count what -d puts in into the quota
        with loop_device(image.path, image.root.offset, image.root.size) as device:
            assert subprocess.run(["e2fsck", "-fy", device], check=False, capture_output=True).returncode in (0, 1)
    disk = node.disk(DISK_MIB)
    node.create(disk, image=str(image.path)).succeeded()
    offset, size, _ = row(disk.path, image.root.number)
    with loop_device(disk.path, offset, size) as device:
        subprocess.run([*CHECKS[filesystem], device], check=True, capture_output=True)
    if filesystem == "ext4":
        # The kernel here can't mount all of this
        with loop_device(disk.path, offset, size) as device:
            head = subprocess.run(["dumpe2fs", "-h", device], check=True, capture_output=True, text=True).stdout
        fields = dict(line.split(":", 1) for line in head.splitlines() if ":" in line)
        assert int(fields["Block count"]) * int(fields["Block size"]) == size
        return
    with looked_at(disk.path, offset, size, filesystem, tmp_path, "subvol=@" if filesystem == "btrfs" else "") as root:
        space = os.statvfs(root)
        assert space.f_blocks * space.f_frsize > 0.8 * size


@pytest.mark.parametrize(
    ("filesystem", "at", "value", "words"),
    [("xfs", 216, b"\0\0\0\xff", "exchange, parent"), ("btrfs", 65536 + 0x88, b"\2", "spans 2 devices")],
)
def test_what_the_kernel_does_not_know_is_named(
    node: Node, tmp_path: Path, filesystem: str, at: int, value: bytes, words: str
) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", filesystem)
    with image.path.open("r+b") as file:
        file.seek(image.root.offset + at)
        file.write(value)
    deployed = node.create(node.disk(DISK_MIB), image=str(image.path))
    deployed.failed("E-FILESYSTEM")
    assert words in deployed.log


def test_f2fs_as_the_root_is_named(node: Node, tmp_path: Path) -> None:
    """Debian's cloud kernel has none"""
    image = disks.build(tmp_path / "image.raw", "gpt", "ext4")
    with loop_device(image.path, image.root.offset, image.root.size) as device:
        subprocess.run(["mkfs.f2fs", "-q", "-f", device], check=True, capture_output=True)
    deployed = node.create(node.disk(DISK_MIB), image=str(image.path))
    deployed.failed("E-FILESYSTEM")
    assert "the helper's kernel has no F2FS" in deployed.last


# --- volumes that are not what they should be ---


def test_a_copy_of_the_physical_volume(node: Node, tmp_path: Path) -> None:
    """On the second disk: neither is opened"""
    image = disks.build(tmp_path / "image.raw", "gpt-lvm", "ext4")
    other = node.disk(image.root.size // MIB, "other")
    with image.path.open("rb") as source, open(other.path, "r+b") as target:
        source.seek(image.root.offset)
        target.write(source.read(image.root.size))
    deployed = node.create(node.disk(DISK_MIB), other, image=str(image.path))
    deployed.failed("E-VOLUME")
    assert "the same LVM physical volume" in deployed.last


@pytest.mark.parametrize(
    ("layout", "at", "size"),
    [("gpt-lvm", 4096, 1 << 20), ("gpt-lvm", 4096 + 512, 1 << 20), ("gpt-luks1", 8, 4096), ("gpt-luks", 8, 1 << 20)],
)
def test_damaged(node: Node, tmp_path: Path, layout: str, at: int, size: int) -> None:
    """Random bytes in the metadata, the signature left"""
    image = disks.build(tmp_path / "image.raw", layout, "ext4")
    with image.path.open("r+b") as file:
        file.seek(image.root.offset + at)
        file.write(os.urandom(size))
    deployed = node.create(node.disk(DISK_MIB), image=str(image.path), luks_key=stacks.KEY)
    code = deployed.last.partition(":")[0]
    assert code in ("E-NO-SYSTEM", "E-VOLUME"), deployed.log
    deployed.failed(code)
