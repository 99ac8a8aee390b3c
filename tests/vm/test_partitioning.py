"""A bare filesystem becomes a disk with a partition, which the real helper grows and customises"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from helper_host.image.partitioning.boot_code import BOOT_CODE
from helper_host.image.partitioning.layout import START
from tests import calling
from tests.vm import disks
from tests.vm.deploying import CANARY, MIB, Node, looked_at, loop_device
from tests.vm.images import debian

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


def test_a_real_debian_boots(node: Node, tmp_path: Path, debian_image: Callable[[str], Path]) -> None:
    """snf-image's extdump of a whole Debian: BIOS, our boot code, GRUB in the partition, its kernel, a login"""
    dump = tmp_path / "debian_base-12-x86_64.extdump"
    cut_out(debian_image("debian-msdos.raw"), dump)
    install_grub(dump, tmp_path)
    disk = node.disk(2048)
    node.settings["image_store"] = str(tmp_path)
    deployed = node.create(
        disk, img_id="debian_base-12-x86_64", img_format="extdump", img_passwd=CANARY, img_properties='{"USERS":"root"}'
    )
    deployed.succeeded()
    assert "partition 1 of a new msdos table" in deployed.log
    with loop_device(disk.path, MIB, 2047 * MIB) as device:
        subprocess.run([*CHECKS["ext4"], device], check=True, capture_output=True)
    said = boot(disk.path, "login:")
    assert "web login:" in said


def cut_out(disk: Path, dump: Path) -> None:
    """The one partition, from 1 MiB on; the disk's last MiB is free"""
    size = disk.stat().st_size // MIB - 2
    argv = ["dd", f"if={disk}", f"of={dump}", "bs=1M", "skip=1", f"count={size}", "conv=sparse", "status=none"]
    subprocess.run(argv, check=True)


def install_grub(dump: Path, folder: Path) -> None:
    """GRUB's boot.img into the partition's first sector; its core.img stays a file, found by the numbers of its blocks

    What `grub-install --force PARTITION` does, with debian.install_grub's constants.
    """

    def debugfs(command: str) -> str:
        return subprocess.run(["debugfs", "-R", command, str(dump)], check=True, capture_output=True, text=True).stdout

    image = folder / "boot.img"
    debugfs(f"dump /usr/lib/grub/i386-pc/boot.img {image}")
    blocks = [int(word) for word in debugfs("blocks /boot/grub/core.img").split()]
    assert blocks == list(range(blocks[0], blocks[0] + len(blocks))), "in one piece"
    sector = START + blocks[0] * (4096 // 512)
    boot_sector = bytearray(image.read_bytes())
    struct.pack_into("<Q", boot_sector, debian.KERNEL_SECTOR, sector)
    with dump.open("r+b") as file:
        file.write(boot_sector)
        file.seek(blocks[0] * 4096 + debian.BLOCK_LIST)
        file.write(struct.pack("<Q", sector + 1))


def boot(disk: str, until: str) -> str:
    """What comes out at the serial port, to the word `until`"""
    argv = ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot"]
    argv += ["-machine", "pc,graphics=off", "-serial", "stdio", "-drive", f"if=virtio,format=raw,file={disk}"]
    said = b""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        clock = threading.Timer(240, process.kill)
        clock.start()
        assert process.stdout is not None
        while until.encode() not in said and (block := os.read(process.stdout.fileno(), 65536)):
            said += block
        clock.cancel()
        process.kill()
    return said.decode("utf-8", "replace")
