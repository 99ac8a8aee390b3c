"""What grows: the root in volumes, the root with swap behind it, the partition that was asked for, or nothing"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.vm import disks, stacks
from tests.vm.deploying import MIB, Node, looked_at
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
