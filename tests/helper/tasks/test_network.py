from __future__ import annotations

import pytest

from helper_agent.api import Skip, TaskError
from helper_agent.net import ifupdown
from helper_agent.tasks import network
from helper_kit import traps
from tests.helper.distros import trees
from tests.helper.support import INSTANCE, NIC, Bench
from tests.helper.tasks.conftest import Make

DNS = {"dns_servers": ["192.0.2.53"], "dns_search": ["example.org"]}
DHCP = INSTANCE._replace(nics=(NIC._replace(ip="", network=None),))
NETWORKD_FILE = "/etc/systemd/network/00-ganeti-nic0.network"


def test_ifupdown_where_it_is_enabled(bench: Bench, context: Make) -> None:
    network.run(context(network.TASK, DNS))
    assert "address 192.0.2.10/24\n" in bench.tree.text(ifupdown.OURS)
    assert "dhcp" not in bench.tree.text("/etc/network/interfaces")
    assert "nameserver 192.0.2.53\n" in bench.tree.text("/etc/resolv.conf")
    assert not (bench.tree / NETWORKD_FILE).exists()
    assert bench.log.of("info")[-1] == "ifupdown: aa:00:00:11:22:33 192.0.2.10/24"


def test_networkd_where_it_is_enabled(bench: Bench, context: Make) -> None:
    task = context(network.TASK, DNS)
    trees.networkd(bench.tree)
    network.run(task)
    assert "Address=192.0.2.10/24\n" in bench.tree.text(NETWORKD_FILE)
    assert not (bench.tree / ifupdown.OURS).exists()


def test_where_both_are_enabled_networkd_is_told_and_ifupdown_lets_go(bench: Bench, context: Make) -> None:
    task = context(network.TASK, DNS)
    trees.networkd(bench.tree)
    trees.ifupdown_again(bench.tree)
    network.run(task)
    assert (bench.tree / NETWORKD_FILE).exists()
    assert "ens3" not in bench.tree.text("/etc/network/interfaces")


def test_an_image_with_none_of_them_enabled(bench: Bench, context: Make) -> None:
    task = context(network.TASK)
    trees.networkd(bench.tree)
    (bench.tree / "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service").unlink()
    network.run(task)
    assert (bench.tree / "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service").is_symlink()


def test_no_nic(bench: Bench, context: Make) -> None:
    before = context(network.TASK, instance=INSTANCE._replace(nics=())), bench.tree.files()
    with pytest.raises(Skip):
        network.run(before[0])
    assert bench.tree.files() == before[1]


def test_a_system_that_is_not_known(bench: Bench) -> None:
    distro = trees.distro(bench.tree)
    with pytest.raises(TaskError, match="network systems"):
        network.run(bench.context(network.TASK, distro=distro))
    with pytest.raises(Skip):
        network.run(bench.context(network.TASK, distro=distro, instance=DHCP))


def test_twice_is_once(bench: Bench, context: Make) -> None:
    network.run(context(network.TASK, DNS))
    before = bench.tree.files()
    network.run(context(network.TASK, DNS))
    assert bench.tree.files() == before


def test_cloud_init_is_told(bench: Bench, context: Make) -> None:
    bench.tree.folder("/etc/cloud/cloud.cfg.d")
    network.run(context(network.TASK))
    assert "{config: disabled}" in bench.tree.text("/etc/cloud/cloud.cfg.d/99-instance-helper-network.cfg")


@pytest.mark.parametrize(
    "path",
    [ifupdown.OURS, "/etc/network/interfaces", "/etc/network/interfaces.d/50-cloud-init", "/etc/resolv.conf"],
)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(network.TASK, DNS)
    traps.spring(trap, bench.tree, path, lambda: network.run(task))


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_networkd_trapped(bench: Bench, context: Make, trap: traps.Trap) -> None:
    task = context(network.TASK, DNS)
    trees.networkd(bench.tree)
    traps.spring(trap, bench.tree, NETWORKD_FILE, lambda: network.run(task))


@pytest.mark.parametrize("path", ["/etc/network/interfaces.d", "/etc/network", "/etc/systemd/network", "/etc/cloud"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(network.TASK, DNS)
    traps.spring(trap, bench.tree, path, lambda: network.run(task))
