"""The task on systems whose renderers were asked for, or chosen by what the image runs"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helper_agent.distros.base import Distro
from helper_agent.net import naming, renderers
from helper_agent.net.wishes import RENDERERS
from helper_agent.tasks import network
from helper_kit import trees
from tests.helper.net.old_trees import centos7, gentoo, slackware, void
from tests.helper.support import Bench, Tree

TREES: dict[str, Callable[[Tree], object]] = {
    "alpine": lambda tree: trees.build(tree, "alpine"),
    "dhcpcd": void,
    "ifcfg": centos7,
    "netifrc": gentoo,
    "slackware": slackware,
    "wicked": lambda tree: trees.build(tree, "opensuse"),
}
OPTIONS = {"dns_servers": ["192.0.2.53"], "dns_search": ["example.org"]}


class Any(Distro):
    """A system that may have each of them"""

    renderers = tuple(TREES)


@pytest.mark.parametrize("name", TREES)
def test_chosen_written_and_twice_is_once(bench: Bench, name: str) -> None:
    TREES[name](bench.tree)
    for _ in range(2):
        before = bench.tree.files()
        network.run(bench.context(network.TASK, OPTIONS, distro=Any({})))
    assert bench.tree.files() == before
    assert bench.log.of("info")[-1] == f"{name}: aa:00:00:11:22:33 192.0.2.10/24"
    assert [path for path, content in before.items() if "192.0.2.10" in str(content)]
    assert (naming.RULES in before) is (name != "alpine")


@pytest.mark.parametrize("name", TREES)
def test_asked_for(bench: Bench, name: str) -> None:
    TREES[name](bench.tree)
    network.run(bench.context(network.TASK, {**OPTIONS, "renderer": name}, distro=Distro({})))
    assert bench.log.of("info")[-1].startswith(f"{name}: ")


@pytest.mark.parametrize("name", TREES)
def test_no_other_is_taken_for_it(bench: Bench, name: str) -> None:
    TREES[name](bench.tree)
    root = bench.tree.root()
    found = [each for each in RENDERERS if (module := renderers.find(each)) and module.active(root)]
    # Alpine's ifup is BusyBox' too, but no service of systemd's or sysvinit's starts it
    assert found == [name]


def test_what_a_system_can_not_do_is_said(bench: Bench) -> None:
    TREES["alpine"](bench.tree)
    network.run(bench.context(network.TASK, OPTIONS, distro=Any({})))
    assert "nic0: Alpine's network service does SLAAC, but no DHCPv6" in bench.log.of("info")
