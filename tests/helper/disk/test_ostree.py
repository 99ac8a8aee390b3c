"""Systems that lie in an ostree deployment: found, mounted, and worked on there"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.disk import ostree
from helper_agent.distros import base
from helper_agent.root import Root
from helper_agent.tasks import hostname, machine_id, password, ssh_keys
from helper_kit import traps, trees
from tests.helper.loops import loops
from tests.helper.support import Bench, Tree
from tests.helper.test_inspection import Instance
from tests.vm import disks

DEPLOY = "/ostree/deploy/fedora-coreos/deploy"
FIRST, SECOND = f"{DEPLOY}/{'a' * 64}.0", f"{DEPLOY}/{'b' * 64}.1"
VAR = "/ostree/deploy/fedora-coreos/var"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Instance]:
    """Needs root"""
    with loops(monkeypatch) as made:
        one = Instance(made, tmp_path, monkeypatch)
        monkeypatch.setattr("helper_agent.looking.LOOK", str(tmp_path / "look"))
        yield one


def _fill(tree: Tree) -> None:
    """Two deployments, of which the second is the younger"""
    for number, folder in enumerate((FIRST, SECOND)):
        part = Tree(tree.path / folder.lstrip("/"))
        trees.build(part, "coreos")
        (part / "/var/roothome").rmdir()
        origin = tree.put(f"{folder}.origin", "[origin]\n")
        os.utime(origin, (1000 + number, 1000 + number))
        part.close()
    tree.folder(f"{VAR}/roothome", mode=0o700)
    tree.folder("/boot")


def test_the_newest_counts(tree: Tree) -> None:
    _fill(tree)
    root = tree.root()
    assert ostree.newest(root) == SECOND
    os.utime(tree / f"{FIRST}.origin", (2000, 2000))
    assert ostree.newest(root) == FIRST


def test_none(tree: Tree) -> None:
    assert ostree.newest(tree.root()) == ""
    tree.folder("/ostree/deploy/x/deploy")
    assert ostree.newest(tree.root()) == ""


@pytest.mark.parametrize("trap", traps.ALL + traps.FOLDERS, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap) -> None:
    _fill(tree)
    traps.spring(trap, tree, SECOND, lambda: ostree.newest(tree.root()))


@pytest.mark.root
def test_tasks_work_in_the_deployment(instance: Instance, bench: Bench) -> None:
    image = disks.build(instance.folder / "disk", "gpt", "xfs", fill=_fill)
    disk = instance.add(image.path)
    system = instance.inspect()
    assert (system.root_folder, system.os_release["VARIANT_ID"]) == (SECOND, "coreos")
    with instance.mount(system) as mounted:
        flags = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines() if mounted.path in line]
        assert len(flags) == 3
        assert all({"nosuid", "nodev", "noexec"} <= set(line[3].split(",")) for line in flags)
        root = Root(mounted.path)
        distro = base.detect(system.os_release, root)
        for module, options in (
            (hostname, {"name": "web1.example.org"}),
            (password, {"hashes": ["$6$a$b"]}),
            (ssh_keys, {"keys": ["ssh-ed25519 AAAA me"]}),
            (machine_id, {}),
        ):
            context = bench.context(module.TASK, options, distro=distro)
            context._mounted = root
            module.run(context)
        root.close()
    assert not [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(instance.folder) in line]
    place = instance.folder / "after"
    place.mkdir()
    with instance.mount(system._replace(root_folder="")) as mounted:
        top = Path(mounted.path)
        assert (top / SECOND.lstrip("/") / "etc/hostname").read_text() == "web1.example.org\n"
        assert not (top / FIRST.lstrip("/") / "etc/hostname").exists()
        assert not (top / SECOND.lstrip("/") / "etc/machine-id").exists()
        assert (top / VAR.lstrip("/") / "roothome/.ssh/authorized_keys").read_text() == "ssh-ed25519 AAAA me\n"
        assert not (top / "etc/hostname").exists()
    assert disk


@pytest.mark.root
@pytest.mark.parametrize("target", ["/", "/etc", "../../../../..", "a"])
def test_a_deployment_that_is_a_symlink(instance: Instance, target: str) -> None:
    def fill(tree: Tree) -> None:
        _fill(tree)
        (tree / f"{SECOND}.origin").unlink()
        tree.folder(f"{DEPLOY}/a/usr")
        os.rename(tree / SECOND, tree / f"{SECOND}-was")
        tree.link(SECOND, target)

    instance.add(disks.build(instance.folder / "disk", "gpt", "ext4", fill=fill).path)
    system = instance.inspect()
    assert system.root_folder == FIRST
    with (
        pytest.raises(TaskError, match="can't be used as the root"),
        instance.mount(system._replace(root_folder=SECOND)),
    ):
        pass
    assert not [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(instance.folder) in line]
