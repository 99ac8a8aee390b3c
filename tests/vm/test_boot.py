"""Kernel arguments, serial console and new UUIDs: a real Debian that boots with them, and disks of other kinds"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helper.distros import trees
from tests.helper.support import Tree
from tests.vm import disks
from tests.vm.console import Console
from tests.vm.deploying import CANARY, MIB, Node, looked_at, loop_device
from tests.vm.images import debian

pytestmark = pytest.mark.vm

CHECKS = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"], "btrfs": ["btrfs", "check", "--readonly"]}
ARGUMENTS = "net.ifnames=0 -quiet +panic=30"


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


@contextmanager
def booted(disk: str, folder: Path) -> Iterator[Console]:
    """The disk's own boot loader, kernel and system under emulation, and its serial console"""
    socket = folder / "console"
    argv = ["qemu-system-x86_64", "-accel", "tcg", "-m", "512", "-nodefaults", "-display", "none", "-no-reboot"]
    argv += ["-machine", "pc,graphics=off", "-serial", f"unix:{socket},server=on,wait=off"]
    argv += ["-drive", f"if=virtio,format=raw,file={disk},cache=unsafe"]
    with subprocess.Popen(argv) as process:
        console = Console(socket, folder / "console.log")
        try:
            yield console
        finally:
            console.close()
            process.kill()


def identifiers(disk: str) -> dict[str, str]:
    """All that the disk and what is on it are identified by"""
    done = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True, text=True)
    table = json.loads(done.stdout)["partitiontable"]
    found = {"disk": table["id"].lower()}
    for row in table["partitions"]:
        number = re.sub(r".*\D", "", row["node"].removeprefix(disk))
        if "uuid" in row:
            found[f"partition {number}"] = row["uuid"].lower()
        offset = ["-p", "-o", "value", "-s", "UUID", "-O", str(row["start"] * 512), "-S", str(row["size"] * 512)]
        done = subprocess.run(["blkid", *offset, disk], check=False, capture_output=True, text=True)
        if done.stdout.strip():
            found[f"filesystem {number}"] = done.stdout.strip().lower()
    return found


@pytest.mark.parametrize("regenerate", ["no", "yes"])
def test_a_real_debian_boots(node: Node, tmp_path: Path, debian_image: Callable[[str], Path], regenerate: str) -> None:
    """By direct edits alone, and with a grub.cfg that the image's own grub-mkconfig has made in the helper"""
    image = debian_image("debian-msdos.raw")
    node.settings["image_folders"] = [str(image.parent)]
    disk = node.disk(2048)
    deployed = node.create(
        disk,
        image=str(image),
        new_uuids="yes",
        serial_console="yes",
        kernel_args=ARGUMENTS,
        regenerate_grub=regenerate,
        swap="partition:64",
        password=CANARY,
    )
    print(deployed.log)
    deployed.succeeded()
    old, new = identifiers(str(image)), identifiers(disk.path)
    assert set(old) <= set(new)
    assert not set(old.values()) & set(new.values())
    assert len(set(new.values())) == len(new)
    with loop_device(disk.path, MIB, (2047 - 64) * MIB) as device:
        subprocess.run(["e2fsck", "-fn", device], check=True, capture_output=True)
    grub_cfg = debian.read(Path(disk.path), "/boot/grub/grub.cfg")
    assert ("### BEGIN /etc/grub.d/10_linux" in grub_cfg) == (regenerate == "yes")
    assert old["filesystem 1"] not in grub_cfg
    with booted(disk.path, tmp_path) as console:
        console.expect("GRUB loading", timeout=60)
        console.login("root", CANARY, timeout=400)
        arguments = console.run("cat /proc/cmdline").text.split()
        assert f"root=UUID={new['filesystem 1']}" in arguments
        assert {"net.ifnames=0", "panic=30"} <= set(arguments)
        assert "quiet" not in arguments
        assert [word for word in arguments if word.startswith("console=")] == ["console=tty0", "console=ttyS0,115200n8"]
        assert console.run("findmnt -n -o UUID /").text == new["filesystem 1"]
        assert console.run("blkid -o value -s UUID | sort | uniq -d").text == ""
        assert old["filesystem 1"] not in console.run("cat /etc/fstab /boot/grub/grub.cfg").text


@pytest.mark.parametrize(
    ("layout", "filesystem"),
    [("gpt-esp", "ext4"), ("gpt", "xfs"), ("msdos-logical", "btrfs"), ("none", "ext4")],
    ids=str,
)
def test_new_uuids_everywhere(node: Node, tmp_path: Path, layout: str, filesystem: str) -> None:
    """Sound afterwards, as others' tools say, and what fstab names is there"""
    image = disks.build(tmp_path / "image.raw", layout, filesystem)
    disk = node.disk(600)
    deployed = node.create(disk, image=str(image.path), new_uuids="yes")
    deployed.succeeded()
    assert "keeps its UUID" not in deployed.log
    if layout != "none":
        old, new = identifiers(str(image.path)), identifiers(disk.path)
        assert set(old) == set(new)
        assert not set(old.values()) & set(new.values())
        assert len(set(new.values())) == len(new)
    if layout.startswith("gpt"):
        verified = subprocess.run(["sgdisk", "--verify", disk.path], check=True, capture_output=True, text=True)
        assert "No problems found" in verified.stdout
    root = image.root
    size = os.stat(disk.path).st_size - root.offset
    with loop_device(disk.path, root.offset, size) as device:
        subprocess.run([*CHECKS[filesystem], device], check=True, capture_output=True)
        found = subprocess.run(["blkid", "-p", "-o", "value", "-s", "UUID", device], check=True, capture_output=True)
    uuid = found.stdout.decode().strip()
    with looked_at(
        disk.path, root.offset, size, filesystem, tmp_path, "subvol=@" if filesystem == "btrfs" else ""
    ) as tree:
        fstab = (tree / "etc/fstab").read_text()
        assert (tree / "etc/hostname").read_text() == "web\n"
    assert f"UUID={uuid} / {filesystem}" in fstab
    assert not [part.uuid for part in image.parts if part.uuid and part.uuid in fstab]
    named = set(re.findall(r"UUID=(\S+)", fstab))
    assert layout == "none" or {each.lower() for each in named} <= set(new.values())


def test_an_image_that_would_not_boot_is_refused(node: Node, tmp_path: Path) -> None:
    """Before anything of it is changed"""
    uuid = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"

    def fill(tree: Tree) -> None:
        trees.debian12(tree)
        tree.put("/boot/grub/i386-pc/load.cfg", f"search.fs_uuid {uuid} root \n")

    image = disks.build(tmp_path / "image.raw", "none", "ext4", fill=fill, mkfs=["-U", uuid])
    deployed = node.create(node.disk(128), image=str(image.path), new_uuids="yes")
    deployed.failed("E-TASK")
    assert "core.img" in deployed.last
