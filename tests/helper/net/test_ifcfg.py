from __future__ import annotations

import subprocess
from collections.abc import Mapping

import pytest

from helper_agent.api import TaskError
from helper_agent.net import ifcfg
from helper_agent.net.state import HEADER, Interface, State
from helper_kit import traps
from tests.helper.net import applied, states
from tests.helper.net.old_trees import centos7
from tests.helper.support import Recorded, Tree

FOLDER = ifcfg.FOLDER


def bodies(*interfaces: Interface, dns: bool = False) -> Mapping[str, str]:
    """The renderer's files by their last names, without the header"""
    state = State(interfaces, ("192.0.2.53", "2001:db8::53") if dns else (), ("example.org", "lab") if dns else ())
    files = ifcfg.render(state).items()
    assert all(text.startswith(HEADER) for _, text in files)
    return {path.rpartition("/")[2]: text.removeprefix(HEADER) for path, text in files if path.startswith(FOLDER)}


def settled(tree: Tree, state: State) -> Recorded:
    """The tree after the renderer, as the task does it"""
    root, log = tree.root(), Recorded()
    files = ifcfg.render(state)
    for path, text in files.items():
        root.install(path, text)
    ifcfg.settle(root, log, tuple(files))
    return log


BEGIN = "DEVICE=nic0\nTYPE=Ethernet\nHWADDR=02:00:00:00:00:01\nONBOOT=yes\n"
DEAF = "IPV6INIT=yes\nIPV6_AUTOCONF=no\n"
HEARS = "IPV6INIT=yes\nIPV6_AUTOCONF=yes\n"
V4 = "BOOTPROTO=none\nIPADDR=192.0.2.10\nPREFIX=24\n"
V6 = "IPV6ADDR=2001:db8::10/64\n"
KINDS = {
    "static": {"ifcfg-nic0": f"{V4}GATEWAY=192.0.2.1\n{DEAF}"},
    "static-auto": {"ifcfg-nic0": f"{V4}GATEWAY=192.0.2.1\n{HEARS}"},
    "no-gateway": {"ifcfg-nic0": f"{V4}{DEAF}"},
    "static6": {"ifcfg-nic0": f"BOOTPROTO=none\n{DEAF}{V6}IPV6_DEFAULTGW=2001:db8::1%nic0\n"},
    "link-local-gateway": {"ifcfg-nic0": f"BOOTPROTO=none\n{DEAF}{V6}IPV6_DEFAULTGW=fe80::1%nic0\n"},
    "dual": {"ifcfg-nic0": f"{V4}GATEWAY=192.0.2.1\n{DEAF}{V6}IPV6_DEFAULTGW=2001:db8::1%nic0\n"},
    "several": {
        "ifcfg-nic0": f"{V4}IPADDR1=198.51.100.9\nPREFIX1=25\nGATEWAY=192.0.2.1\n{DEAF}{V6}"
        'IPV6ADDR_SECONDARIES="2001:db8:1::9/48"\nIPV6_DEFAULTGW=2001:db8::1%nic0\n'
    },
    "on-link": {
        "ifcfg-nic0": f"{V4}GATEWAY=203.0.113.1\n{DEAF}",
        "route-nic0": "203.0.113.1/32 dev nic0\ndefault via 203.0.113.1 dev nic0\n",
    },
    "on-link6": {
        "ifcfg-nic0": f"BOOTPROTO=none\n{DEAF}{V6}IPV6_DEFAULTGW=2001:db8:ffff::1%nic0\n",
        "route6-nic0": "2001:db8:ffff::1/128 dev nic0\ndefault via 2001:db8:ffff::1 dev nic0\n",
    },
    "metric": {
        "ifcfg-nic0": f"{V4}GATEWAY=192.0.2.1\nMETRIC=200\nIPV4_ROUTE_METRIC=200\n{DEAF}{V6}IPV6_ROUTE_METRIC=1124\n",
        "route6-nic0": "default via 2001:db8::1 dev nic0 metric 1124\n",
    },
    "mtu": {"ifcfg-nic0": f"{V4}GATEWAY=192.0.2.1\n{DEAF}MTU=1400\n"},
    "dhcp": {"ifcfg-nic0": f"BOOTPROTO=dhcp\n{DEAF}"},
    "dhcp-auto": {"ifcfg-nic0": f"BOOTPROTO=dhcp\n{HEARS}"},
    "dhcp6": {"ifcfg-nic0": f"BOOTPROTO=none\n{HEARS}DHCPV6C=yes\n"},
    "stateless": {"ifcfg-nic0": f"BOOTPROTO=none\n{HEARS}DHCPV6C=yes\nDHCPV6C_OPTIONS=-S\n"},
    "slaac": {"ifcfg-nic0": f"BOOTPROTO=none\n{HEARS}"},
    "dhcp-both": {"ifcfg-nic0": f"BOOTPROTO=dhcp\n{HEARS}DHCPV6C=yes\n"},
    "static-and-dhcp": {
        "ifcfg-nic0": f"BOOTPROTO=dhcp\n{DEAF}",
        "ifcfg-nic0:0": "IPADDR=192.0.2.10\nPREFIX=24\nNETMASK=255.255.255.0\n",
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_files(kind: str) -> None:
    expected = dict(KINDS[kind])
    expected["ifcfg-nic0"] = BEGIN + expected["ifcfg-nic0"]
    if "ifcfg-nic0:0" in expected:
        expected["ifcfg-nic0:0"] = f"DEVICE=nic0:0\nONBOOT=yes\nONPARENT=yes\n{expected['ifcfg-nic0:0']}"
    assert bodies(applied.KINDS[kind]) == expected


def test_one_that_stays_down_has_a_file_against_networkmanagers_default() -> None:
    assert bodies(applied.KINDS["none"])["ifcfg-nic0"] == (
        "DEVICE=nic0\nTYPE=Ethernet\nHWADDR=02:00:00:00:00:01\nONBOOT=no\nBOOTPROTO=none\nIPV6INIT=no\n"
    )


def test_name_servers() -> None:
    text = bodies(states.STATIC, dns=True)["ifcfg-nic0"]
    assert text.endswith('DNS1=192.0.2.53\nDNS2=2001:db8::53\nDOMAIN="example.org lab"\n')


def test_the_address_with_the_gateway_is_the_first() -> None:
    """The scripts compare GATEWAY with the first alone"""
    several = applied.KINDS["several"]
    text = bodies(several._replace(addresses=tuple(reversed(several.addresses))))["ifcfg-nic0"]
    assert "IPADDR=192.0.2.10\n" in text
    assert "IPADDR1=198.51.100.9\n" in text


@pytest.mark.programs
@pytest.mark.parametrize("kind", applied.KINDS)
def test_a_shell_reads_them(kind: str) -> None:
    for name, text in bodies(applied.KINDS[kind], dns=True).items():
        if name.startswith("ifcfg-"):
            done = subprocess.run(["bash", "-uc", f"{text}set"], capture_output=True, text=True, check=True)
            assert not done.stderr
            assert f"DEVICE={name[6:]}\n" in done.stdout


@pytest.mark.root
@pytest.mark.parametrize("kind", ["on-link", "on-link6", "metric"])
def test_the_kernel_takes_the_routes(kind: str) -> None:
    """Each line as the scripts give it to `ip`, after the addresses"""
    interface = applied.KINDS[kind]
    script = f"ip link set {interface.name} up\n"
    script += "".join(f"ip address add {address.cidr} dev {interface.name} nodad\n" for address in interface.addresses)
    for name, text in bodies(interface).items():
        family = {"route-nic0": "-4", "route6-nic0": "-6"}.get(name)
        script += "".join(f"ip {family} route add {line}\n" for line in text.splitlines() if family)
    found, _ = applied.run(script, [interface], named=True)
    want = applied.wanted(interface).ways
    assert found[interface.mac].ways == {way for way in want if kind != "metric" or ":" in way[0]}


def test_settled(tree: Tree) -> None:
    centos7(tree)
    tree.put(f"{FOLDER}/route-eth0", "10.0.0.0/8 via 10.0.0.1\n")
    tree.put(f"{FOLDER}/ifcfg-System_eth1", "TYPE=Ethernet\nHWADDR=52:54:00:00:00:01\nBOOTPROTO=dhcp\n")
    tree.put(f"{FOLDER}/ifcfg-eth0.5", "DEVICE=eth0.5\nVLAN=yes\n")
    tree.put(f"{FOLDER}/ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\n")
    tree.put(f"{FOLDER}/ifcfg-bond0", "DEVICE=bond0\nBONDING_OPTS=mode=1\n")
    log = settled(tree, states.ALL)
    assert sorted(path.rpartition("/")[2] for path in tree.files() if path.startswith(f"{FOLDER}/")) == [
        "ifcfg-bond0",
        "ifcfg-br0",
        "ifcfg-eth0.5",
        "ifcfg-lo",
        "ifcfg-nic0",
        "ifcfg-nic1",
        "ifcfg-nic2",
        "ifcfg-nic3",
        "ifup-eth",
        "route-nic1",
    ]
    assert tree.text("/etc/sysconfig/network") == "# Created by anaconda\nNETWORKING=yes\n"
    assert len(log.of("info")) == 2
    before = tree.files()
    settled(tree, states.ALL)
    assert tree.files() == before
    settled(tree, State((states.STATIC,), (), ()))
    assert not (tree / f"{FOLDER}/ifcfg-nic1").exists()
    assert not (tree / f"{FOLDER}/route-nic1").exists()


def test_which_service_reads_them(tree: Tree) -> None:
    centos7(tree)
    assert ifcfg.active(tree.root())
    for level in "2345":
        (tree / f"/etc/rc.d/rc{level}.d/S10network").rename(tree / f"/etc/rc.d/rc{level}.d/K90network")
    assert ifcfg.present(tree.root())
    assert not ifcfg.active(tree.root())
    settled(tree, states.ALL)
    assert ifcfg.active(tree.root())
    assert (tree / "/etc/systemd/system/multi-user.target.wants/NetworkManager.service").is_symlink()


def test_without_networkmanager_the_scripts_are_switched_on(tree: Tree) -> None:
    centos7(tree)
    (tree / "/usr/lib64/NetworkManager/1.18.8-2.el7_9/libnm-settings-plugin-ifcfg-rh.so").unlink()
    for level in "2345":
        (tree / f"/etc/rc.d/rc{level}.d/S10network").rename(tree / f"/etc/rc.d/rc{level}.d/K90network")
    settled(tree, states.ALL)
    assert tree.files()["/etc/rc.d/rc3.d/S10network"] == "-> ../init.d/network"
    assert "/etc/rc.d/rc3.d/K90network" not in tree.files()
    (tree / "/etc/rc.d/init.d/network").unlink()
    (tree / f"{FOLDER}/ifup-eth").unlink()
    assert not ifcfg.present(tree.root())
    with pytest.raises(TaskError, match="nothing that reads"):
        settled(tree, states.ALL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "NETWORKING=yes\n"),
        ("NETWORKING=yes\nHOSTNAME=x\n", "NETWORKING=yes\nHOSTNAME=x\n"),
        ("NETWORKING=no", "NETWORKING=yes\n"),
        ("A=1", "A=1\nNETWORKING=yes\n"),
        ('NETWORKING="yes"\nGATEWAYDEV=eth0\nIPV6_DEFAULTGW=::1\n', 'NETWORKING="yes"\n'),
    ],
)
def test_the_file_for_all(tree: Tree, before: str, after: str) -> None:
    centos7(tree).put(ifcfg.GLOBAL, before)
    settled(tree, states.ALL)
    assert tree.text(ifcfg.GLOBAL) == after


PATHS = (
    f"{FOLDER}/ifcfg-nic0",
    f"{FOLDER}/route-nic1",
    f"{FOLDER}/ifcfg-eth0",
    f"{FOLDER}/route-eth0",
    ifcfg.GLOBAL,
    "/etc/udev/rules.d/69-ganeti-net.rules",
    "/etc/rc.d/init.d/network",
    "/etc/rc.d/rc3.d/S10network",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    centos7(tree)
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))


@pytest.mark.parametrize("path", [FOLDER, "/etc/sysconfig", "/etc/udev/rules.d", "/etc/rc.d/rc3.d"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(tree: Tree, trap: traps.Trap, path: str) -> None:
    centos7(tree)
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))
