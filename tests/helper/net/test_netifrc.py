from __future__ import annotations

import subprocess

import pytest

from helper_agent.net import netifrc
from helper_agent.net.state import HEADER, State
from helper_kit import traps
from tests.helper.net import applied, states
from tests.helper.net.old_trees import gentoo
from tests.helper.support import Recorded, Tree

OURS = "/etc/conf.d/net.nic0"


def body(kind: str, *, dns: bool = False) -> str:
    """What is set for an interface of a kind"""
    state = State((applied.KINDS[kind],), ("192.0.2.53", "2001:db8::53") if dns else (), ("a.org", "b") if dns else ())
    return netifrc.render(state)[OURS].removeprefix(HEADER)


def settled(tree: Tree, state: State) -> Recorded:
    """The tree after the renderer, as the task does it"""
    root, log = tree.root(), Recorded()
    files = netifrc.render(state)
    for path, text in files.items():
        root.install(path, text)
    netifrc.settle(root, log, tuple(files))
    return log


IP = 'modules_nic0="iproute2"\n'
WITH_DHCPCD = 'modules_nic0="iproute2 dhcpcd"\n'
V4 = 'config_nic0="192.0.2.10/24"\n'
WAY = 'routes_nic0="default via 192.0.2.1"\n'
DEAF = "preup() {\n\techo 0 >/proc/sys/net/ipv6/conf/nic0/accept_ra\n\treturn 0\n}\n"
KINDS = {
    "static": f"{IP}{V4}{WAY}{DEAF}",
    "static-auto": f"{IP}{V4}{WAY}",
    "no-gateway": f"{IP}{V4}{DEAF}",
    "link-local-gateway": f'{IP}config_nic0="2001:db8::10/64"\nroutes_nic0="-6 default via fe80::1"\n{DEAF}',
    "dual": f'{IP}config_nic0="192.0.2.10/24\n2001:db8::10/64"\n'
    f'routes_nic0="default via 192.0.2.1\n-6 default via 2001:db8::1"\n{DEAF}',
    "on-link": f'{IP}{V4}routes_nic0="203.0.113.1/32\ndefault via 203.0.113.1"\n{DEAF}',
    "host-routes": f'{IP}config_nic0="192.0.2.10/32\n2001:db8::10/128"\n'
    f'routes_nic0="192.0.2.1/32\ndefault via 192.0.2.1\n-6 2001:db8::1/128\n-6 default via 2001:db8::1"\n{DEAF}',
    "metric": f'{IP}config_nic0="192.0.2.10/24\n2001:db8::10/64"\n'
    f'routes_nic0="default via 192.0.2.1 metric 100\n-6 default via 2001:db8::1 metric 1124"\n{DEAF}',
    "mtu": f'{IP}{V4}{WAY}mtu_nic0="1400"\n{DEAF}',
    "dhcp": f'{WITH_DHCPCD}config_nic0="dhcp"\ndhcpcd_nic0="-4"\n{DEAF}',
    "dhcp-auto": f'{IP}config_nic0="dhcp"\n',
    "dhcp-both": f'{IP}config_nic0="dhcp"\n',
    "dhcp6": f'{WITH_DHCPCD}config_nic0="dhcp"\ndhcpcd_nic0="-6"\n',
    "stateless": f'{WITH_DHCPCD}config_nic0="dhcp"\ndhcpcd_nic0="-6"\n',
    "slaac": f'{IP}config_nic0="null"\n',
    "static-dhcp6": f'{WITH_DHCPCD}config_nic0="192.0.2.10/24\ndhcp"\n{WAY}dhcpcd_nic0="-6"\n',
    "static-and-dhcp": f'{WITH_DHCPCD}config_nic0="192.0.2.10/24\ndhcp"\ndhcpcd_nic0="-4"\n{DEAF}',
}


@pytest.mark.parametrize("kind", KINDS)
def test_files(kind: str) -> None:
    assert body(kind) == KINDS[kind]


def test_name_servers() -> None:
    assert body("slaac", dns=True).endswith('dns_servers_nic0="192.0.2.53 2001:db8::53"\ndns_search_nic0="a.org b"\n')


@pytest.mark.root  # for BusyBox alone, which not every machine has
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shell", [["bash"], ["dash"], ["busybox", "sh"]], ids=lambda shell: shell[-1])
def test_shells_read_them(kind: str, shell: list[str]) -> None:
    script = f'{body(kind, dns=True)}printf "%s|" "$config_nic0" "$routes_nic0"'
    done = subprocess.run([*shell, "-c", script], capture_output=True, text=True, check=True)
    config, routes, _ = done.stdout.split("|")
    assert f'config_nic0="{config}"\n' in KINDS[kind]
    assert routes in KINDS[kind]
    assert not done.stderr


def test_one_that_stays_down_has_no_service(tree: Tree) -> None:
    gentoo(tree)
    settled(tree, State((applied.KINDS["none"],), (), ()))
    assert not [path for path in tree.files() if "net.nic" in path]


def test_settled(tree: Tree) -> None:
    gentoo(tree)
    tree.link("/etc/init.d/net.br0", "net.lo")
    tree.link("/etc/runlevels/default/net.br0", "/etc/init.d/net.br0")
    tree.put("/etc/init.d/dhcpcd", "#!/sbin/openrc-run\n", mode=0o755)
    tree.link("/etc/runlevels/default/dhcpcd", "/etc/init.d/dhcpcd")
    log = settled(tree, states.ALL)
    links = {
        path: target for path, target in tree.files().items() if path.startswith(("/etc/runlevels", "/etc/init.d"))
    }
    assert sorted(path for path in links if "net." in path) == [
        "/etc/init.d/net.br0",
        "/etc/init.d/net.lo",
        *(f"/etc/init.d/net.nic{index}" for index in range(4)),
        "/etc/runlevels/boot/net.lo",
        "/etc/runlevels/default/net.br0",
        *(f"/etc/runlevels/default/net.nic{index}" for index in range(4)),
    ]
    assert links["/etc/init.d/net.nic0"] == "-> net.lo"
    assert links["/etc/runlevels/default/net.nic0"] == "-> /etc/init.d/net.nic0"
    assert "/etc/runlevels/default/dhcpcd" not in links
    assert tree.text("/etc/conf.d/net") == 'config_eth0="dhcp"\n'
    assert not log.of("warning")
    before = tree.files()
    settled(tree, states.ALL)
    assert tree.files() == before
    settled(tree, State((states.STATIC,), (), ()))
    assert not [path for path in tree.files() if "net.nic1" in path]


def test_dhcpv6_without_dhcpcd_is_said(tree: Tree) -> None:
    gentoo(tree)
    state = State((applied.KINDS["dhcp6"],), (), ())
    assert "dhcpcd" in settled(tree, state).of("warning")[0]
    tree.put("/sbin/dhcpcd")
    assert not settled(tree, state).of("warning")


def test_active(tree: Tree) -> None:
    gentoo(tree)
    assert netifrc.active(tree.root())
    (tree / "/etc/runlevels/default/net.eth0").unlink()
    assert netifrc.present(tree.root())
    assert not netifrc.active(tree.root())
    settled(tree, states.ALL)
    assert netifrc.active(tree.root())


PATHS = (
    OURS,
    "/etc/conf.d/net.nic7",
    "/etc/init.d/net.nic0",
    "/etc/init.d/net.lo",
    "/etc/init.d/net.eth0",
    "/etc/runlevels/default/net.nic0",
    "/etc/runlevels/default/net.eth0",
    "/etc/udev/rules.d/69-ganeti-net.rules",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    gentoo(tree)
    with traps.laid(trap, tree, path, replaces=True):
        applied.attempt(lambda: settled(tree, states.ALL))


@pytest.mark.parametrize(
    "path", ["/etc/conf.d", "/etc/init.d", "/etc/runlevels", "/etc/runlevels/default", "/etc/udev"]
)
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(tree: Tree, trap: traps.Trap, path: str) -> None:
    gentoo(tree)
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))
