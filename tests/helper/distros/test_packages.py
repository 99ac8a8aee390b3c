"""The facts of Debian's family, beside Debian's own packages"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_agent.distros import base
from helper_agent.distros.base import Distro
from helper_agent.init import base as init
from helper_agent.init import systemd, sysvinit
from helper_agent.net import ifupdown, networkd
from helper_agent.release import read
from helper_agent.tasks import host_keys, hostname, machine_id, network, password, ssh_keys
from helper_kit import trees
from tests.helper.distros import packages
from tests.helper.support import Bench, Tree

pytestmark = pytest.mark.programs


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Tree]]:
    """Name of `packages.SYSTEMS` -> its tree, which no test changes"""
    made = {name: packages.build(Tree(tmp_path_factory.mktemp(name)), name) for name in packages.SYSTEMS}
    yield made
    for tree in made.values():
        tree.close()


@pytest.fixture
def debian(unpacked: dict[str, Tree]) -> Tree:
    """Debian with systemd"""
    return unpacked["systemd"]


@pytest.fixture
def distro(debian: Tree) -> Distro:
    """What it is taken for"""
    root = debian.root()
    return base.detect(read(root), root)


def test_os_release(distro: Distro, debian: Tree) -> None:
    machine = platform.freedesktop_os_release()
    assert (type(distro).__name__, distro.id, distro.version) == ("Debian", "debian", machine["VERSION_ID"])
    (version,) = debian.text("/etc/debian_version").split()
    assert version.startswith(machine["VERSION_ID"])


def test_the_kits_tree_is_as_the_packages(debian: Tree, tree: Tree) -> None:
    trees.build(tree, "debian")
    real, ours = (read(each.root()) for each in (debian, tree))
    assert {key: real[key] for key in ours} == dict(ours)
    lines = debian.text("/etc/ssh/sshd_config").splitlines()
    assert [line for line in tree.text("/etc/ssh/sshd_config").splitlines() if line not in lines] == []
    users = {line.split(":")[0]: line.split(":")[2:] for line in debian.text("/etc/passwd").splitlines()}
    for line in tree.text("/etc/passwd").splitlines():
        name, _, *rest = line.split(":")
        assert name not in users or users[name] == rest


@pytest.mark.parametrize(
    ("prefix", "known"),
    [("$1$", True), ("$5$", True), ("$6$", True), ("$y$", True), ("$gy$", True), ("$7$", True), ("$2b$", True),
     ("$2y$", True), ("$9$", False), ("$md6$", False)],
)  # fmt: skip
def test_hash_methods(prefix: str, known: bool, distro: Distro, debian: Tree) -> None:
    assert distro.verifies(debian.root(), f"{prefix}salt$hash") is known


def test_sshd(distro: Distro, debian: Tree) -> None:
    root = debian.root()
    assert systemd.installed(root, distro.sshd_services[0])
    program = (debian / "/usr/sbin/sshd").read_bytes()
    for path in (distro.sshd_config, "/etc/ssh/ssh_host_ed25519_key", ".ssh/authorized_keys"):
        assert path.encode() + b"\0" in program
    # what sets the locale of sessions
    assert f"envfile={distro.locale_files[0]}" in debian.text("/etc/pam.d/sshd")


def test_files_of_settings(distro: Distro, debian: Tree) -> None:
    assert distro.keyboard_files[0] in debian.text("/bin/setupcon")
    assert (debian / "/usr/sbin/update-grub").exists()
    assert any((debian / command[0]).exists() for command in distro.grub_mkconfig)
    assert any(line.startswith(f"{distro.admin_groups[0]}:") for line in debian.text("/etc/group").splitlines())


def test_network(distro: Distro, debian: Tree) -> None:
    root = debian.root()
    assert ifupdown.present(root)
    assert networkd.present(root)
    assert {"ifupdown", "networkd", "netplan", "networkmanager", "dhcpcd"} == set(distro.renderers)


@pytest.mark.parametrize(
    ("name", "kind", "sshd"),
    [
        ("systemd", "systemd", "ssh"),
        ("sysvinit", "SysV init", "ssh"),
        ("openrc", "OpenRC", "ssh"),
        ("runit", "runit", ""),
    ],
)
def test_inits(unpacked: dict[str, Tree], name: str, kind: str, sshd: str) -> None:
    root = unpacked[name].root()
    found = init.of(root)
    assert kind == found.NAME
    assert found.installed(root, sshd) or not sshd


def _copy(tree: Tree, to: Path) -> Tree:
    shutil.copytree(tree.path, to, symlinks=True)
    return Tree(to)


def test_ssh_is_enabled_as_systemctl_does_it(debian: Tree, tmp_path: Path) -> None:
    ours, theirs = (_copy(debian, tmp_path / name) for name in ("ours", "theirs"))
    for each in (ours, theirs):
        (each / "/etc/init.d/ssh").unlink()  # systemctl would have update-rc.d of the tree see to it
    assert systemd.enable(ours.root(), "ssh")
    subprocess.run(["systemctl", f"--root={theirs.path}", "enable", "ssh"], check=True, capture_output=True)
    assert (ours / "/etc/systemd/system/sshd.service").is_symlink()
    assert ours.files() == theirs.files()
    ours.close()


def test_tasks(debian: Tree, tmp_path: Path) -> None:
    bench = Bench(_copy(debian, tmp_path / "tree"))
    root = bench.tree.root()
    distro = base.detect(read(root), root)
    for module, options in (
        (hostname, {"name": "web1.example.org"}),
        (password, {"hashes": ["$y$j9T$a$b"]}),
        (ssh_keys, {"keys": ["ssh-ed25519 AAAA me"]}),
        (host_keys, {"private_keys": ["new\n"], "public_keys": ["ssh-ed25519 AAAA x"]}),
        (machine_id, {}),
        (network, {}),
    ):
        module.run(bench.context(module.TASK, options, distro=distro))
    assert bench.tree.text("/etc/hostname") == "web1\n"
    assert bench.tree.text("/etc/shadow").startswith("root:$y$j9T$a$b:")
    assert (bench.tree / "/root/.ssh/authorized_keys").exists()
    assert bench.tree.mode("/etc/ssh/ssh_host_ed25519_key") == 0o600
    assert bench.tree.text("/etc/machine-id") == ""
    bench.tree.close()


@pytest.mark.root
def test_startpar_runs_what_was_added(unpacked: dict[str, Tree], tmp_path: Path) -> None:
    """As Debian's /etc/init.d/rc calls it; without our line in .depend.start it passes over the link"""
    tree = _copy(unpacked["sysvinit"], tmp_path / "tree")
    root = tree.root()
    if not (tree / "/bin/sh").exists():
        tree.link("/bin/sh", "dash")
    tree.put("/etc/init.d/rc.local", "#!/bin/sh\n", mode=0o755)
    tree.link("/etc/rc2.d/S01rc.local", "../init.d/rc.local")
    tree.put("/etc/init.d/.depend.start", "TARGETS = rc.local\nINTERACTIVE =\n")
    tree.put("/etc/init.d/.depend.boot", "TARGETS =\nINTERACTIVE =\n")
    tree.put("/first", "#!/bin/sh\n: >/ran\n", mode=0o755)
    # rm is no package of these
    tree.put("/bin/rm", "#!/bin/sh\n: >/removed\n", mode=0o755)
    sysvinit.install_oneshot(root, "first-boot", "First boot", "/first")
    argv = ["chroot", str(tree.path), "/bin/startpar", "-p1", "-t3", "-T1", "-Mstart", "-PN", "-R2"]
    subprocess.run(argv, check=True, capture_output=True, timeout=60, env={"PATH": os.environ["PATH"]})
    assert (tree / "/ran").exists()
    assert (tree / "/removed").exists()
    tree.close()
