from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import helper_agent
from helper_agent.api import TaskError
from helper_agent.distros import base
from helper_agent.net import renderers
from helper_kit import trees as kit
from tests.helper.distros import trees
from tests.helper.support import Tree

NETWORK_MANAGER = "/etc/systemd/system/multi-user.target.wants/NetworkManager.service"
DESKTOP = "network:\n  version: 2\n  renderer: NetworkManager\n"


def chosen(tree: Tree) -> str | None:
    return renderers.choose(tree.root(), base.Distro({}).renderers)


@pytest.mark.parametrize(
    ("system", "name"),
    [("debian", "ifupdown"), ("devuan", "ifupdown"), ("ubuntu", "netplan"), ("rocky", "networkmanager")],
)
def test_what_the_image_runs(tree: Tree, system: str, name: str) -> None:
    kit.build(tree, system)
    assert chosen(tree) == name


def test_debians_cloud_image(tree: Tree) -> None:
    """netplan, networkd enabled, ifupdown not there"""
    trees.networkd(trees.debian12(tree))
    (tree / "/etc/systemd/network/10-all.network").unlink()
    assert chosen(tree) == "networkd"
    tree.put("/usr/sbin/netplan", "x")
    assert chosen(tree) == "netplan"


def test_ubuntus_desktop(tree: Tree) -> None:
    kit.build(tree, "ubuntu")
    tree.put("/usr/lib/systemd/system/systemd-networkd.service", "[Unit]\n")
    tree.put("/usr/sbin/NetworkManager", "x")
    tree.link(NETWORK_MANAGER, "/usr/lib/systemd/system/NetworkManager.service")
    assert chosen(tree) == "netplan", "networkd is enabled too, and no file says whom it tells"
    tree.put("/lib/netplan/00-network-manager-all.yaml", DESKTOP)
    assert chosen(tree) == "networkmanager"


def test_a_name_without_a_module_is_passed_over(tree: Tree) -> None:
    kit.build(tree, "rocky")
    assert renderers.choose(tree.root(), ("nonsense", "networkmanager")) == "networkmanager"
    assert renderers.choose(tree.root(), ("nonsense",)) is None
    assert renderers.find("nonsense") is None
    assert renderers.find("state") is None, "a module, and no renderer"


def test_forced(tree: Tree) -> None:
    kit.build(tree, "rocky")
    assert renderers.forced(tree.root(), "networkmanager") == "networkmanager"
    with pytest.raises(TaskError, match="'nonsense'") as caught:
        renderers.forced(tree.root(), "nonsense")
    assert caught.value.code == "E-OPTION"
    with pytest.raises(TaskError, match="not installed"):
        renderers.forced(tree.root(), "netplan")


@pytest.mark.programs
def test_modules_are_imported_when_they_are_asked_for() -> None:
    helper = Path(helper_agent.__file__).parent.parent
    script = (
        f"import sys; sys.path.insert(0, {str(helper)!r})\n"
        "from helper_agent.tasks import network\n"
        "from helper_agent.net import renderers\n"
        "print(*(name for name in renderers.RENDERERS if f'helper_agent.net.{name}' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
