"""Every partition table with every filesystem, deployed by the real helper and read back by the host's own kernel"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests import calling
from tests.vm import disks
from tests.vm.deploying import CANARY, MIB, Node, looked_at, loop_device

pytestmark = pytest.mark.vm

DISK_MIB = 1200
CHECKS = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"], "btrfs": ["btrfs", "check", "--readonly"]}


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


def extent(disk: str, image: disks.Image) -> tuple[int, int]:
    """Where the root filesystem is now: offset and size in bytes, as sfdisk reads the table"""
    if image.layout == "none":
        return 0, os.stat(disk).st_size
    done = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True, text=True)
    rows = json.loads(done.stdout)["partitiontable"]["partitions"]
    row = next(row for row in rows if row["start"] * 512 == image.root.offset)
    return row["start"] * 512, row["size"] * 512


@pytest.mark.parametrize("filesystem", disks.FILESYSTEMS)
@pytest.mark.parametrize("layout", disks.LAYOUTS)
def test_deployed(node: Node, tmp_path: Path, layout: str, filesystem: str) -> None:
    image = disks.build(tmp_path / "image.raw", layout, filesystem)
    disk = node.disk(DISK_MIB)
    deployed = node.create(disk, image=str(image.path), password=CANARY, ssh_keys=calling.KEY, swap="file:16")
    deployed.succeeded()
    offset, size = extent(disk.path, image)
    assert size > (DISK_MIB - 8) * MIB - offset, "the partition has grown to the disk's end"
    with loop_device(disk.path, offset, size) as device:
        subprocess.run([*CHECKS[filesystem], device], check=True, capture_output=True)
    options = "subvol=@" if filesystem == "btrfs" else ""
    with looked_at(disk.path, offset, size, filesystem, tmp_path, options) as root:
        space = os.statvfs(root)
        assert space.f_blocks * space.f_frsize > 0.85 * size, "the filesystem has grown to the partition's end"
        assert (root / "etc/hostname").read_text() == "web\n"
        assert "web.example.org" in (root / "etc/hosts").read_text()
        assert (root / "etc/machine-id").read_bytes() == b""
        assert (root / "etc/shadow").read_text().startswith(("root:$y$", "root:$6$"))
        assert calling.KEY in (root / "root/.ssh/authorized_keys").read_text()
        assert "OPENSSH PRIVATE KEY" in (root / "etc/ssh/ssh_host_ed25519_key").read_text()
        assert (root / "swapfile").stat().st_size == 16 * MIB
        assert "/swapfile" in (root / "etc/fstab").read_text()


def test_a_new_swap_partition(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt-esp", "ext4")
    disk = node.disk(DISK_MIB)
    node.create(disk, image=str(image.path), swap="partition:64").succeeded()
    offset, size = extent(disk.path, image)
    done = subprocess.run(["sfdisk", "--json", disk.path], check=True, capture_output=True, text=True)
    rows = json.loads(done.stdout)["partitiontable"]["partitions"]
    swap = next(row for row in rows if row["type"] == "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F")
    with loop_device(disk.path, swap["start"] * 512, swap["size"] * 512) as device:
        found = subprocess.run(["blkid", "-p", "-o", "export", device], check=True, capture_output=True, text=True)
    values = dict(line.split("=", 1) for line in found.stdout.splitlines())
    assert values["TYPE"] == "swap"
    with looked_at(disk.path, offset, size, "ext4", tmp_path) as root:
        assert f"UUID={values['UUID']}" in (root / "etc/fstab").read_text()
