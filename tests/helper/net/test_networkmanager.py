from __future__ import annotations

from configparser import ConfigParser

import pytest

from helper_agent.net import networkmanager
from helper_agent.net.state import Interface, State
from helper_kit import trees as kit
from tests.helper.distros import trees
from tests.helper.net import states
from tests.helper.support import Recorded, Tree

OURS = "/etc/NetworkManager/system-connections/ganeti-nic0.nmconnection"
WANTED = "/etc/systemd/system/multi-user.target.wants/NetworkManager.service"
SERVERS, SEARCH = ("192.0.2.53", "2001:db8::53"), ("example.org", "lab")


def connection(interface: Interface) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read_string(networkmanager.render(State((interface,), SERVERS, SEARCH))[OURS])
    return parser


def test_static() -> None:
    found = connection(states.STATIC)
    assert dict(found["ethernet"]) == {"mac-address": "02:00:00:00:00:01"}
    assert dict(found["ipv4"]) == {
        "method": "manual",
        "address1": "192.0.2.10/24,192.0.2.1",
        "dns": "192.0.2.53;",
        "dns-search": "example.org;lab;",
    }
    assert found["ipv6"]["method"] == "auto"
    assert found["connection"]["type"] == "ethernet"


def test_the_uuid_is_the_same_each_time_and_another_for_another_nic() -> None:
    first, again = (connection(states.STATIC)["connection"]["uuid"] for _ in range(2))
    other = connection(states.STATIC._replace(mac="02:00:00:00:00:09"))["connection"]["uuid"]
    assert first == again != other


@pytest.mark.parametrize(
    ("kind", "method4", "method6"),
    [
        ("static", "manual", "link-local"),
        ("static6", "disabled", "manual"),
        ("dual", "manual", "manual"),
        ("dhcp", "auto", "link-local"),
        ("dhcp6", "disabled", "auto"),
        ("stateless", "disabled", "auto"),
        ("static-and-dhcp", "auto", "link-local"),
        ("static6-slaac", "disabled", "auto"),
    ],
)
def test_methods(kind: str, method4: str, method6: str) -> None:
    found = connection(states.KINDS[kind])
    assert (found["ipv4"]["method"], found["ipv6"]["method"]) == (method4, method6)
    # servers of a family that there is not make a connection invalid
    assert ("dns" in found["ipv4"], "dns" in found["ipv6"]) == (method4 != "disabled", method6 != "link-local")


def test_several_addresses() -> None:
    found = connection(states.KINDS["several"])
    assert found["ipv4"]["address1"] == "192.0.2.10/24,192.0.2.1"
    assert found["ipv4"]["address2"] == "198.51.100.9/25"
    assert "route-metric" not in found["ipv4"]


def test_what_stays_down_is_left_alone() -> None:
    files = networkmanager.render(State((states.STATIC, states.KINDS["none"]._replace(name="nic1")), (), ()))
    assert list(files) == [OURS, networkmanager.DOWN]
    assert files[networkmanager.DOWN].endswith("match-device=mac:02:00:00:00:00:01\nmanaged=0\n")


def test_other_connections_of_ethernet_interfaces_go_away(tree: Tree) -> None:
    kit.build(tree, "rocky")
    folder = networkmanager.FOLDER
    tree.put(OURS, "[connection]\ntype=ethernet\n", mode=0o600)
    tree.put(f"{folder}/ganeti-nic5.nmconnection", "[connection]\ntype=ethernet\n")
    tree.put(f"{folder}/Wired connection 1", "[connection]\nid=x\ntype = ethernet\n")
    tree.put(f"{folder}/port.nmconnection", "[connection]\ntype=ethernet\nmaster=bond0\n")
    tree.put(f"{folder}/wifi.nmconnection", "[connection]\ntype=wifi\n")
    tree.put(f"{networkmanager.IFCFG}/ifcfg-eth0", 'DEVICE="eth0"\nBOOTPROTO="dhcp"\nTYPE="Ethernet"\n')
    tree.put(f"{networkmanager.IFCFG}/ifcfg-ens3", "BOOTPROTO=dhcp\n")
    tree.put(f"{networkmanager.IFCFG}/ifcfg-lo", "DEVICE=lo\n")
    tree.put(f"{networkmanager.IFCFG}/ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\n")
    tree.put(networkmanager.DOWN, "x\n")
    log = Recorded()
    networkmanager.settle(tree.root(), log, (OURS,))
    names = [path.rpartition("/")[2] for path in tree.files() if folder in path or networkmanager.IFCFG in path]
    assert names == ["ganeti-nic0.nmconnection", "port.nmconnection", "wifi.nmconnection", "ifcfg-br0", "ifcfg-lo"]
    assert not (tree / networkmanager.DOWN).exists()
    assert len(log.of("info")) == 3
    before = tree.files()
    networkmanager.settle(tree.root(), log, (OURS,))
    assert tree.files() == before


def test_netplan_and_ifupdown_let_go(tree: Tree) -> None:
    kit.build(tree, "ubuntu")
    tree.put("/usr/sbin/NetworkManager", "x")
    tree.put("/etc/netplan/50-cloud-init.yaml", "network:\n  ethernets:\n    ens3: {dhcp4: true}\n")
    tree.put(f"/usr/lib/{networkmanager.GLOBALLY_MANAGED}", "[keyfile]\nunmanaged-devices=*,except:type:wifi\n")
    trees.ifupdown(tree)
    networkmanager.settle(tree.root(), Recorded(), (OURS,))
    assert not (tree / "/etc/netplan/50-cloud-init.yaml").exists()
    assert "ens3" not in tree.text("/etc/network/interfaces")
    assert "unmanaged" not in tree.text(f"/etc/{networkmanager.GLOBALLY_MANAGED}")


def test_enabled_where_it_is_not(tree: Tree) -> None:
    kit.build(tree, "rocky")
    (tree / WANTED).unlink()
    assert not networkmanager.active(tree.root())
    assert networkmanager.present(tree.root())
    networkmanager.settle(tree.root(), Recorded(), ())
    assert networkmanager.active(tree.root())
    assert tree.files()[WANTED] == "-> /usr/lib/systemd/system/NetworkManager.service"


@pytest.mark.parametrize(
    "path", ["/etc/runlevels/default/networkmanager", "/etc/runit/runsvdir/default/NetworkManager"]
)
def test_enabled_without_systemd(tree: Tree, path: str) -> None:
    tree.put("/usr/bin/NetworkManager", "x")
    assert not networkmanager.active(tree.root())
    tree.link(path, "/etc/somewhere")
    assert networkmanager.active(tree.root())
