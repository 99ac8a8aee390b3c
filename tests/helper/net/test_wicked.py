from __future__ import annotations

import subprocess
from collections.abc import Mapping

import pytest

from helper_agent.net import dns, netconfig, wicked
from helper_agent.net.state import HEADER, Interface, State
from helper_kit import traps, trees
from tests.helper.net import applied, states
from tests.helper.support import Recorded, Tree

FOLDER = wicked.FOLDER


def bodies(*interfaces: Interface) -> Mapping[str, str]:
    """The renderer's files by their last names, without the header"""
    files = wicked.render(State(interfaces, (), ())).items()
    return {path.rpartition("/")[2]: text.removeprefix(HEADER) for path, text in files if "udev" not in path}


def settled(tree: Tree, state: State) -> Recorded:
    """The tree after the renderer, as the task does it"""
    root, log = tree.root(), Recorded()
    files = wicked.render(state)
    for path, text in files.items():
        root.install(path, text)
    wicked.settle(root, log, tuple(files))
    dns.apply(root, state)
    return log


UNIT = "[Install]\nWantedBy=multi-user.target\nAlias=network.service\n"
AUTO = "STARTMODE='auto'\n"
STATIC = f"{AUTO}BOOTPROTO='static'\n"
V4 = "IPADDR='192.0.2.10/24'\n"
WAY = "default 192.0.2.1 - nic0\n"
DEAF = {"70-ganeti-net.conf": "net.ipv6.conf.nic0.accept_ra = 0\n"}
KINDS = {
    "static": {"ifcfg-nic0": f"{STATIC}{V4}", "ifroute-nic0": WAY, **DEAF},
    "static-auto": {"ifcfg-nic0": f"{STATIC}{V4}", "ifroute-nic0": WAY},
    "no-gateway": {"ifcfg-nic0": f"{STATIC}{V4}", **DEAF},
    "link-local-gateway": {
        "ifcfg-nic0": f"{STATIC}IPADDR='2001:db8::10/64'\n",
        "ifroute-nic0": "default fe80::1 - nic0\n",
        **DEAF,
    },
    "dual": {
        "ifcfg-nic0": f"{STATIC}{V4}IPADDR_1='2001:db8::10/64'\n",
        "ifroute-nic0": f"{WAY}default 2001:db8::1 - nic0\n",
        **DEAF,
    },
    "several": {
        "ifcfg-nic0": f"{STATIC}{V4}IPADDR_1='198.51.100.9/25'\nIPADDR_2='2001:db8::10/64'\n"
        "IPADDR_3='2001:db8:1::9/48'\n",
        "ifroute-nic0": f"{WAY}default 2001:db8::1 - nic0\n",
        **DEAF,
    },
    "on-link": {
        "ifcfg-nic0": f"{STATIC}{V4}",
        "ifroute-nic0": "203.0.113.1/32 - - nic0\ndefault 203.0.113.1 - nic0\n",
        **DEAF,
    },
    "host-routes": {
        "ifcfg-nic0": f"{STATIC}IPADDR='192.0.2.10/32'\nIPADDR_1='2001:db8::10/128'\n",
        "ifroute-nic0": f"192.0.2.1/32 - - nic0\n{WAY}2001:db8::1/128 - - nic0\ndefault 2001:db8::1 - nic0\n",
        **DEAF,
    },
    "metric": {
        "ifcfg-nic0": f"{STATIC}{V4}IPADDR_1='2001:db8::10/64'\n",
        "ifroute-nic0": "default 192.0.2.1 - nic0 metric 100\ndefault 2001:db8::1 - nic0 metric 1124\n",
        **DEAF,
    },
    "mtu": {"ifcfg-nic0": f"{STATIC}{V4}MTU='1400'\n", "ifroute-nic0": WAY, **DEAF},
    "dhcp": {"ifcfg-nic0": f"{AUTO}BOOTPROTO='dhcp4'\n", **DEAF},
    "dhcp-auto": {"ifcfg-nic0": f"{AUTO}BOOTPROTO='dhcp'\n"},
    "dhcp6": {"ifcfg-nic0": f"{AUTO}BOOTPROTO='dhcp6'\nDHCLIENT6_MODE='managed'\n"},
    "stateless": {"ifcfg-nic0": f"{AUTO}BOOTPROTO='dhcp6'\nDHCLIENT6_MODE='info'\n"},
    "slaac": {"ifcfg-nic0": f"{AUTO}BOOTPROTO='auto6'\n"},
    "dhcp-both": {"ifcfg-nic0": f"{AUTO}BOOTPROTO='dhcp'\nDHCLIENT6_MODE='managed'\n"},
    "static-dhcp6": {
        "ifcfg-nic0": f"{AUTO}BOOTPROTO='dhcp6'\nDHCLIENT6_MODE='managed'\n{V4}",
        "ifroute-nic0": WAY,
    },
    "static-and-dhcp": {"ifcfg-nic0": f"{AUTO}BOOTPROTO='dhcp4'\n{V4}", **DEAF},
    "none": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_files(kind: str) -> None:
    assert bodies(applied.KINDS[kind]) == KINDS[kind]


def test_nothing_waits_for_dhcp_beside_a_static_address() -> None:
    found = bodies(states.STATIC, states.DHCP)
    assert "STARTMODE='auto'" in found["ifcfg-nic0"]
    assert "STARTMODE='hotplug'" in found["ifcfg-nic3"]


@pytest.mark.programs
@pytest.mark.parametrize("kind", applied.KINDS)
def test_a_shell_reads_them(kind: str) -> None:
    for name, text in bodies(applied.KINDS[kind]).items():
        if name.startswith("ifcfg-"):
            done = subprocess.run(["bash", "-uc", f"{text}set"], capture_output=True, text=True, check=True)
            assert "BOOTPROTO=" in done.stdout
            assert not done.stderr


def test_settled(tree: Tree) -> None:
    trees.build(tree, "opensuse")
    tree.put(f"{FOLDER}/ifcfg-lo", "IPADDR=127.0.0.1/8\n")
    tree.put(f"{FOLDER}/ifcfg-br0", "BRIDGE='yes'\n")
    tree.put(f"{FOLDER}/ifroute-eth0", "default 10.0.0.1\n")
    tree.put(wicked.ROUTES, "default 10.0.0.1 - -\n10.0.0.0/8 10.0.0.2 - eth0\n0.0.0.0/0 10.0.0.1")
    log = settled(tree, states.ALL)
    assert sorted(path.rpartition("/")[2] for path in tree.files() if path.startswith(f"{FOLDER}/if")) == [
        "ifcfg-br0",
        "ifcfg-lo",
        "ifcfg-nic0",
        "ifcfg-nic1",
        "ifcfg-nic2",
        "ifcfg-nic3",
        "ifroute-nic0",
        "ifroute-nic1",
        "ifroute-nic2",
    ]
    assert tree.text(wicked.ROUTES) == "10.0.0.0/8 10.0.0.2 - eth0\n"
    assert len(log.of("info")) == 1
    before = tree.files()
    settled(tree, states.ALL)
    assert tree.files() == before
    settled(tree, State((states.STATIC,), (), ()))
    assert not (tree / f"{FOLDER}/ifcfg-nic1").exists()
    assert not (tree / f"{FOLDER}/ifroute-nic1").exists()
    assert not (tree / wicked.SYSCTL).exists()


def test_name_servers_go_to_netconfig(tree: Tree) -> None:
    trees.build(tree, "opensuse")
    settled(tree, states.ALL)
    assert tree.text(netconfig.SETTINGS) == (
        'NETCONFIG_DNS_STATIC_SEARCHLIST="example.org lab"\nNETCONFIG_DNS_STATIC_SERVERS="192.0.2.53 2001:db8::53"\n'
    )
    assert "/etc/resolv.conf" not in tree.files()


def test_a_setting_that_is_not_there_is_added() -> None:
    assert netconfig.settings("A=1", {"B": "x"}) == 'A=1\nB="x"\n'
    assert netconfig.settings("  B='y'\n# B=z\n", {"B": "x"}) == 'B="x"\n# B=z\n'


def test_active_and_enabled(tree: Tree) -> None:
    trees.build(tree, "opensuse")
    assert wicked.active(tree.root())
    (tree / "/etc/systemd/system/multi-user.target.wants/wicked.service").unlink()
    tree.put("/usr/lib/systemd/system/wicked.service", UNIT)
    tree.link("/etc/systemd/system/network.service", "/usr/lib/systemd/system/NetworkManager.service")
    assert wicked.present(tree.root())
    assert not wicked.active(tree.root())
    settled(tree, states.ALL)
    assert wicked.active(tree.root())


PATHS = (
    f"{FOLDER}/ifcfg-nic0",
    f"{FOLDER}/ifroute-nic1",
    f"{FOLDER}/ifcfg-eth0",
    f"{FOLDER}/ifroute-eth0",
    wicked.ROUTES,
    wicked.SYSCTL,
    netconfig.SETTINGS,
    "/etc/systemd/system/multi-user.target.wants/wicked.service",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    trees.build(tree, "opensuse")
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))


@pytest.mark.parametrize("path", [FOLDER, "/etc/sysconfig", "/etc/sysctl.d", "/etc/udev"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(tree: Tree, trap: traps.Trap, path: str) -> None:
    trees.build(tree, "opensuse")
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))
