from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from helper_agent.net import networkd
from helper_agent.net.state import State
from tests.helper.distros import trees
from tests.helper.net import states
from tests.helper.support import Recorded, Tree

WANTED = "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"


def body(state: State, name: str) -> str:
    return networkd.render(state)[f"/etc/systemd/network/00-ganeti-{name}.network"].split("\n", 1)[1]


def test_static() -> None:
    assert body(State((states.STATIC,), ("192.0.2.53",), ("example.org", "lab")), "nic0") == (
        "[Match]\nMACAddress=02:00:00:00:00:01\nType=ether\n\n"
        "[Network]\nAddress=192.0.2.10/24\nDNS=192.0.2.53\nDomains=example.org lab\n\n"
        "[Route]\nGateway=192.0.2.1\n"
    )


def test_a_gateway_outside_of_the_subnet() -> None:
    assert body(states.ALL, "nic1").endswith("[Route]\nGateway=203.0.113.1\nGatewayOnLink=yes\nMetric=100\n")


def test_ipv6_static_listens_to_no_router() -> None:
    assert "Address=2001:db8::10/64\nIPv6AcceptRA=no\n" in body(states.ALL, "nic2")
    assert "DHCP" not in body(states.ALL, "nic2")


def test_nothing_waits_for_dhcp_beside_a_static_address() -> None:
    assert "[Link]\n" in body(states.ALL, "nic3")
    assert "RequiredForOnline=no\n" in body(states.ALL, "nic3")
    assert "RequiredForOnline" not in body(State((states.DHCP,), (), ()), "nic3")


@pytest.mark.parametrize(
    ("kind", "lines", "not_there"),
    [
        ("static", ["IPv6AcceptRA=no"], "DHCP"),
        ("static-auto", [], "IPv6AcceptRA"),
        ("dual", ["Address=192.0.2.10/24", "Address=2001:db8::10/64", "IPv6AcceptRA=no"], "DHCP"),
        ("dhcp", ["DHCP=ipv4", "IPv6AcceptRA=no"], "[DHCPv6]"),
        ("dhcp-auto", ["DHCP=yes"], "IPv6AcceptRA"),
        ("dhcp6", ["DHCP=ipv6", "WithoutRA=solicit"], "IPv6AcceptRA"),
        ("stateless", ["DHCP=ipv6"], "WithoutRA"),
        ("static6-slaac", ["Address=2001:db8::10/64"], "IPv6AcceptRA"),
        ("mtu", ["[Link]", "MTUBytes=1400"], "RequiredForOnline"),
        ("none", ["Unmanaged=yes"], "[Network]"),
    ],
)
def test_kinds(kind: str, lines: list[str], not_there: str) -> None:
    text = body(State((states.KINDS[kind],), (), ()), "nic0")
    assert not {*lines} - {*text.split("\n")}
    assert not_there not in text


def test_enabled_where_it_is_not(tree: Tree) -> None:
    trees.debian12(tree)
    assert not networkd.active(tree.root())
    networkd.settle(tree.root(), Recorded(), ())
    assert networkd.active(tree.root())
    assert tree.files()[WANTED] == "-> /usr/lib/systemd/system/systemd-networkd.service"


def test_files_of_an_earlier_run_go_away(tree: Tree) -> None:
    trees.networkd(trees.debian12(tree))
    tree.put("/etc/systemd/network/00-ganeti-nic7.network", "x")
    keep = "/etc/systemd/network/00-ganeti-nic0.network"
    tree.put(keep, "x")
    networkd.settle(tree.root(), Recorded(), (keep,))
    assert sorted(path for path in tree.files() if "/etc/systemd/network/" in path) == [
        keep,
        "/etc/systemd/network/10-all.network",
    ]


def test_first_in_the_order_of_names() -> None:
    assert networkd.PREFIX < "05-image" < "10-netplan-ens3"


@pytest.mark.parametrize(
    ("content", "active"), [("network: {version: 2}\n", True), ("renderer: NetworkManager\n", False)]
)
def test_netplan(tree: Tree, content: str, active: bool) -> None:
    trees.debian12(tree)
    tree.put("/etc/netplan/90-default.yaml", content)
    assert networkd.active(tree.root()) is active


@pytest.mark.root
def test_the_real_networkd_understands(tmp_path: Path) -> None:
    """systemd's own parser complains of what it does not know when the daemon loads the files"""
    program = "/usr/lib/systemd/systemd-networkd"
    if not shutil.which(program):
        program = "/lib/systemd/systemd-networkd"
    for path, text in networkd.render(states.ALL).items():
        (tmp_path / Path(path).name).write_text(text)
    (tmp_path / "99-wrong.network").write_text("[Match]\nName=none\n[Network]\nNonsense=1\n")
    script = f"""
    mount -t tmpfs none /run && mkdir -p /run/systemd/network /run/systemd/netif /run/dbus
    cp {tmp_path}/*.network /run/systemd/network/
    ip link set lo up
    SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console timeout 3 {program} 2>&1
    """
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    print(done.stdout, done.stderr)
    assert "99-wrong.network:4" in done.stdout, "the daemon did not read the files"
    assert "00-ganeti" not in "".join(
        line for line in done.stdout.splitlines() if "gnoring" in line or "nknown" in line or "nvalid" in line
    )
