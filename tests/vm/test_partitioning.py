"""A bare filesystem becomes a disk with a partition, which the real helper grows and customises"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from helper_host.image.partitioning.boot_code import BOOT_CODE
from tests import calling
from tests.vm import disks
from tests.vm.deploying import CANARY, MIB, Node, looked_at, loop_device

pytestmark = pytest.mark.vm

DISK_MIB = 600
CHECKS = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"], "btrfs": ["btrfs", "check", "--readonly"]}


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


@pytest.mark.parametrize(
    ("filesystem", "parameters", "label"),
    [
        ("ext4", {"img_format": "extdump", "img_passwd": CANARY}, "dos"),
        ("ext4", {"partition": "gpt", "password": CANARY}, "gpt"),
        ("xfs", {"partition": "yes", "password": CANARY}, "dos"),
        ("btrfs", {"partition": "gpt", "password": CANARY}, "gpt"),
    ],
    ids=["extdump", "ext4 in a gpt", "xfs in an msdos table", "btrfs in a gpt"],
)
def test_a_bare_filesystem(node: Node, tmp_path: Path, filesystem: str, parameters: dict[str, str], label: str) -> None:
    image = disks.build(tmp_path / "image.raw", "none", filesystem)
    disk = node.disk(DISK_MIB)
    reference = {"img_id" if "img_format" in parameters else "image": str(image.path)}
    node.create(disk, **reference, **parameters, ssh_keys=calling.KEY).succeeded()
    done = subprocess.run(["sfdisk", "--json", disk.path], check=True, capture_output=True, text=True)
    table = json.loads(done.stdout)["partitiontable"]
    (row,) = table["partitions"]
    assert table["label"] == label
    assert row["start"] == 2048
    assert row["size"] * 512 > (DISK_MIB - 4) * MIB, "the partition has grown to the disk's end"
    if label == "gpt":
        verified = subprocess.run(["sgdisk", "--verify", disk.path], check=True, capture_output=True, text=True)
        assert "No problems found" in verified.stdout
    else:
        assert row["bootable"] and row["type"] == "83"
        with Path(disk.path).open("rb") as file:
            assert file.read(len(BOOT_CODE)) == BOOT_CODE
    offset, size = MIB, row["size"] * 512
    with loop_device(disk.path, offset, size) as device:
        subprocess.run([*CHECKS[filesystem], device], check=True, capture_output=True)
    options = "subvol=@" if filesystem == "btrfs" else ""
    with looked_at(disk.path, offset, size, filesystem, tmp_path, options) as root:
        assert (root / "etc/hostname").read_text() == "web\n"
        assert (root / "etc/shadow").read_text().startswith(("root:$y$", "root:$6$"))
        assert calling.KEY in (root / "root/.ssh/authorized_keys").read_text()


def test_a_real_debian(node: Node, tmp_path: Path, debian_image: object) -> None:
    """snf-image's extdump of a whole Debian: its partition, cut out of a disk"""
    assert callable(debian_image)
    whole = debian_image("debian-msdos.raw")
    dump = tmp_path / "debian_base-12-x86_64.extdump"
    # the last MiB of that disk is free
    size = whole.stat().st_size // MIB - 2
    argv = ["dd", f"if={whole}", f"of={dump}", "bs=1M", "skip=1", f"count={size}", "conv=sparse", "status=none"]
    subprocess.run(argv, check=True)
    disk = node.disk(2048)
    node.settings["image_store"] = str(tmp_path)
    deployed = node.create(
        disk, img_id="debian_base-12-x86_64", img_format="extdump", img_passwd=CANARY, img_properties='{"USERS":"root"}'
    )
    deployed.succeeded()
    assert "partition 1 of a new msdos table" in deployed.log
    with loop_device(disk.path, MIB, 2047 * MIB) as device:
        subprocess.run([*CHECKS["ext4"], device], check=True, capture_output=True)
    with looked_at(disk.path, MIB, 2047 * MIB, "ext4", tmp_path) as root:
        assert (root / "etc/hostname").read_text() == "web\n"
        shadow = (root / "etc/shadow").read_text()
        assert next(line for line in shadow.splitlines() if line.startswith("root:")).startswith("root:$")
