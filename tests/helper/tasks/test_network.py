from __future__ import annotations

import pytest

from helper_agent.api import Context, Options, Skip, TaskError
from helper_agent.distros import base
from helper_agent.net import ifupdown, netplan, networkmanager, state
from helper_agent.tasks import network
from helper_kit import traps
from helper_kit.trees import build
from tests.helper.distros import trees
from tests.helper.support import INSTANCE, NIC, Bench
from tests.helper.tasks.conftest import Make

DNS = {"dns_servers": ["192.0.2.53"], "dns_search": ["example.org"]}
DHCP = INSTANCE._replace(nics=(NIC._replace(ip="", network=None),))
NETWORKD_FILE = "/etc/systemd/network/00-ganeti-nic0.network"
NETWORKMANAGER_FILE = f"{networkmanager.FOLDER}/ganeti-nic0.nmconnection"


def distro_of(name: str) -> base.Distro:
    return base.detect({"ID": name})


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


def test_netplan(bench: Bench) -> None:
    build(bench.tree, "ubuntu")
    bench.tree.put("/etc/netplan/50-cloud-init.yaml", "network:\n  ethernets:\n    ens3: {dhcp4: true}\n")
    network.run(bench.context(network.TASK, DNS, distro=distro_of("ubuntu")))
    assert "192.0.2.10/24" in bench.tree.text(netplan.OURS)
    assert bench.tree.mode(netplan.OURS) == 0o600
    assert not (bench.tree / "/etc/netplan/50-cloud-init.yaml").exists()
    before = bench.tree.files()
    network.run(bench.context(network.TASK, DNS, distro=distro_of("ubuntu")))
    assert bench.tree.files() == before


@pytest.mark.parametrize("system", ["rocky", "fedora"])
def test_networkmanager(bench: Bench, system: str) -> None:
    build(bench.tree, system)
    bench.tree.put("/etc/resolv.conf", "# Generated by NetworkManager\n")
    network.run(bench.context(network.TASK, DNS, distro=distro_of(system)))
    assert "address1=192.0.2.10/24,192.0.2.1\n" in bench.tree.text(NETWORKMANAGER_FILE)
    assert bench.tree.mode(NETWORKMANAGER_FILE) == 0o600
    assert bench.tree.text("/etc/resolv.conf") == "# Generated by NetworkManager\n", "it makes that of its connections"
    before = bench.tree.files()
    network.run(bench.context(network.TASK, DNS, distro=distro_of(system)))
    assert bench.tree.files() == before


def test_an_existing_file_of_ours_gets_its_mode(bench: Bench) -> None:
    build(bench.tree, "rocky")
    bench.tree.put(NETWORKMANAGER_FILE, "old\n", mode=0o644)
    network.run(bench.context(network.TASK, distro=distro_of("rocky")))
    assert bench.tree.mode(NETWORKMANAGER_FILE) == 0o600


def test_what_is_wished_of_a_nic(bench: Bench, context: Make) -> None:
    network.run(context(network.TASK, {"nic0": "static 2001:db8::5/64 mtu=1400", "nic3": "dhcp"}))
    text = bench.tree.text(ifupdown.OURS)
    assert "address 192.0.2.10/24\n" in text
    assert "address 2001:db8::5/64\n" in text
    assert "gateway 2001:db8::1\n" in text
    assert bench.log.of("warning") == ["nic3 is set, but the instance has no such NIC"]
    assert bench.log.of("info")[-1] == "ifupdown: aa:00:00:11:22:33 192.0.2.10/24, 2001:db8::5/64, MTU 1400"


@pytest.mark.parametrize(
    ("wish", "words"),
    [("none", "left down"), ("slaac", "SLAAC"), ("dhcp dhcp6", "DHCP, DHCPv6"), ("stateless", "SLAAC and DHCPv6")],
)
def test_the_log_says_what_was_configured(bench: Bench, context: Make, wish: str, words: str) -> None:
    network.run(context(network.TASK, {"nic0": wish}))
    assert bench.log.of("info")[-1] == f"ifupdown: aa:00:00:11:22:33 {words}"


def test_an_interface_that_is_to_stay_down(bench: Bench, context: Make) -> None:
    network.run(context(network.TASK, {"nic0": "none"}))
    assert "iface" not in bench.tree.text(ifupdown.OURS)
    assert "ens3" not in bench.tree.text("/etc/network/interfaces")


def test_the_renderer_can_be_named(bench: Bench, context: Make) -> None:
    network.run(context(network.TASK, {"renderer": "networkd"}))
    assert (bench.tree / NETWORKD_FILE).exists()
    with pytest.raises(TaskError, match="netplan, which is not installed"):
        network.run(context(network.TASK, {"renderer": "netplan"}))


def test_the_context_has_the_same_network(bench: Bench, context: Make) -> None:
    options = {"nic0": "dhcp slaac", **DNS}
    task = bench.context(network.TASK, options)
    twin = Context(
        instance=task.instance,
        devices=task.devices,
        detected=None,
        options=Options((), {}),
        log=task.log,
        run=bench.programs,
        mounted=None,
        network=options,
    )
    assert twin.network == state.read(task.instance.nics, task.options.plain(), task.log.warning)
    assert twin.network.interfaces[0].dhcp4


@pytest.mark.parametrize("path", [netplan.OURS, "/etc/netplan/50-cloud-init.yaml", "/usr/lib/netplan/10-vendor.yaml"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_netplan_trapped(bench: Bench, trap: traps.Trap, path: str) -> None:
    build(bench.tree, "ubuntu")
    task = bench.context(network.TASK, DNS, distro=distro_of("ubuntu"))
    traps.spring(trap, bench.tree, path, lambda: network.run(task))


@pytest.mark.parametrize(
    "path",
    [
        NETWORKMANAGER_FILE,
        f"{networkmanager.FOLDER}/eth0.nmconnection",
        f"{networkmanager.IFCFG}/ifcfg-eth0",
        networkmanager.DOWN,
        f"/etc/{networkmanager.GLOBALLY_MANAGED}",
    ],
)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_networkmanager_trapped(bench: Bench, trap: traps.Trap, path: str) -> None:
    build(bench.tree, "rocky")
    bench.tree.put(f"/usr/lib/{networkmanager.GLOBALLY_MANAGED}", "x\n")
    nics = (NIC, NIC._replace(index=1, mac="aa:00:00:11:22:34"))
    task = bench.context(
        network.TASK, {"nic1": "none"}, distro=distro_of("rocky"), instance=INSTANCE._replace(nics=nics)
    )
    traps.spring(trap, bench.tree, path, lambda: network.run(task))


@pytest.mark.parametrize(
    ("system", "path"),
    [
        ("ubuntu", "/etc/netplan"),
        ("rocky", "/etc/NetworkManager"),
        ("rocky", networkmanager.FOLDER),
        ("rocky", networkmanager.IFCFG),
    ],
)
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_the_others_trapped_on_the_way(bench: Bench, trap: traps.Trap, system: str, path: str) -> None:
    build(bench.tree, system)
    task = bench.context(network.TASK, DNS, distro=distro_of(system))
    traps.spring(trap, bench.tree, path, lambda: network.run(task))
