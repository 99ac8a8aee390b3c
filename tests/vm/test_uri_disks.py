"""Disks that have only a URI, as with access=userspace: a real storage server, a real broker, a real helper VM"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import calling
from tests.calling import Disk
from tests.host.image import nbd_server
from tests.host.image.nbd_server import Server
from tests.vm import disks
from tests.vm.deploying import CANARY, MIB, Deployed, Node, looked_at

pytestmark = pytest.mark.vm
DEBIAN_ROOT = 1 * MIB
"""Of the root partition, as tests/vm/images/debian.toml has it for msdos."""


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


def create(node: Node, variables: dict[str, str]) -> Deployed:
    settings = str(node.folder / "settings")
    return node.finish(calling.start("create", variables, settings, **node.settings))


def without_path(disk: Disk, server: Server, **parameters: str) -> dict[str, str]:
    """Ganeti's variables for a disk 0 that has a URI and no path"""
    variables = calling.environment(disk, **parameters) | {"DISK_0_URI": server.uri}
    del variables["DISK_0_PATH"]
    return variables


def test_debian(node: Node, debian_image: Callable[[str], Path], tmp_path: Path) -> None:
    image = debian_image("debian-msdos.raw")
    node.settings["image_folders"] = [str(image.parent)]
    disk = node.disk(3072)
    with Server(Path(disk.path), export="web-disk0", tcp=True) as server:
        variables = without_path(disk, server, image=str(image), password=CANARY, ssh_keys=calling.KEY)
        create(node, variables).succeeded()
        assert nbd_server.brokers() == []
    with looked_at(disk.path, DEBIAN_ROOT, 0, "ext4", tmp_path) as root:
        assert (root / "etc/hostname").read_text() == "web\n"
        assert calling.KEY in (root / "root/.ssh/authorized_keys").read_text()
        files = os.statvfs(root)
        assert files.f_blocks * files.f_frsize > 2500 * MIB, "the filesystem has grown to the disk"


def test_a_uri_and_a_file(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", "ext4")
    disk, data = node.disk(300), node.disk(64, "data")
    content = os.urandom(4 * MIB) + bytes(60 * MIB)
    Path(data.path).write_bytes(content)
    with Server(Path(disk.path)) as server:
        variables = calling.environment(disk, data, image=str(image.path)) | {"DISK_0_URI": server.uri}
        del variables["DISK_0_PATH"]
        create(node, variables).succeeded()
    assert Path(data.path).read_bytes() == content
    with looked_at(disk.path, image.root.offset, 0, "ext4", tmp_path) as root:
        assert (root / "etc/hostname").read_text() == "web\n"


def test_a_disk_is_customised_again_in_place(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", "ext4")
    disk = node.disk(300)
    with Server(Path(disk.path)) as server:
        create(node, without_path(disk, server, image=str(image.path))).succeeded()
        create(node, without_path(disk, server, image="none", hostname="db.example.org")).succeeded()
    with looked_at(disk.path, image.root.offset, 0, "ext4", tmp_path) as root:
        assert (root / "etc/hostname").read_text() == "db\n"


def test_a_server_that_goes_away_under_the_guest(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", "ext4")
    disk = node.disk(300)
    with Server(Path(disk.path)) as server:
        settings = str(node.folder / "settings")
        process = calling.start("create", without_path(disk, server, image=str(image.path)), settings, **node.settings)
        deadline = time.monotonic() + 60
        while not any(Path(disk.path).read_bytes()[:512]) and time.monotonic() < deadline:
            time.sleep(0.02)
        server.process.send_signal(signal.SIGKILL)
        deployed = node.finish(process)
    deployed.failed("E-DISK-IO")
    assert "may look finished and is not" in deployed.log, "nobody can wipe what nobody reaches"
    assert nbd_server.brokers() == []
