"""Systems other than Debian, deployed by the real helper: their trees, not booted"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from helper_kit import trees
from tests import calling
from tests.helper.disk import test_ostree
from tests.helper.support import Tree
from tests.vm import disks
from tests.vm.deploying import CANARY, Node, looked_at

pytestmark = pytest.mark.vm

HOSTNAMES: Mapping[str, tuple[str, str]] = {
    "centos-6": ("etc/sysconfig/network", 'NETWORKING=yes\nHOSTNAME="web.example.org"\nNOZEROCONF=yes\n'),
    "gentoo": ("etc/conf.d/hostname", '# Set to the hostname of this machine\nhostname="web"\n'),
    "nixos": ("nix/store/bbbb-etc/etc/hostname", "nixos\n"),
    "rocky": ("etc/hostname", "web.example.org\n"),
    "void-musl": ("etc/hostname", "web\n"),
}


@pytest.fixture
def node(tmp_path: Path, helper_image: Path) -> Node:
    return Node(tmp_path, helper_image)


@pytest.mark.parametrize("name", HOSTNAMES)
def test_deployed(node: Node, tmp_path: Path, name: str) -> None:
    def fill(tree: Tree) -> None:
        trees.build(tree, name)
        tree.folder("/boot")
        (tree / "/etc/fstab").unlink(missing_ok=True)  # NixOS' leads into the store

    image = disks.build(tmp_path / "image.raw", "gpt", "ext4", fill=fill)
    disk = node.disk(300)
    deployed = node.create(
        disk, image=str(image.path), password=CANARY, ssh_keys=calling.KEY, skip_tasks="network grow-partition"
    )
    deployed.succeeded()
    with looked_at(disk.path, image.root.offset, image.root.size, "ext4", tmp_path) as root:
        path, text = HOSTNAMES[name]
        assert (root / path).read_text() == text
        assert (root / "etc/shadow").read_text().startswith(("root:$y$", "root:$6$"))
        assert calling.KEY in (root / "root/.ssh/authorized_keys").read_text()
        key = root / "etc/ssh/ssh_host_ed25519_key"
        assert "OPENSSH PRIVATE KEY" in key.read_text()
        mode, group = key.stat().st_mode & 0o777, key.stat().st_gid
        assert (mode, group) == ((0o640, 999) if name == "rocky" else (0o600, 0))


def test_an_ostree_deployment(node: Node, tmp_path: Path) -> None:
    image = disks.build(tmp_path / "image.raw", "gpt", "xfs", disk_mib=400, fill=test_ostree._fill)
    disk = node.disk(500)
    deployed = node.create(
        disk, image=str(image.path), password=CANARY, ssh_keys=calling.KEY, skip_tasks="network grow-partition"
    )
    deployed.succeeded()
    with looked_at(disk.path, image.root.offset, image.root.size, "xfs", tmp_path) as root:
        deployment = root / test_ostree.SECOND.lstrip("/")
        assert (deployment / "etc/hostname").read_text() == "web.example.org\n"
        assert (deployment / "etc/shadow").read_text().startswith("root:$y$")
        assert not (deployment / "etc/machine-id").exists()
        home = root / test_ostree.VAR.lstrip("/") / "roothome"
        assert calling.KEY in (home / ".ssh/authorized_keys").read_text()
