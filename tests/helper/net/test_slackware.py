from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helper_agent.net import slackware
from helper_agent.net.state import HEADER, State
from helper_kit import traps
from tests.helper.net import applied, states
from tests.helper.net.old_trees import slackware as slackware15
from tests.helper.support import Recorded, Tree

BEFORE_15 = (
    "# Before Slackware 15\nif ! grep -q IPADDRS /etc/rc.d/rc.inet1 2>/dev/null; then\n"
    '  IPADDR[{0}]="{1}"\n  NETMASK[{0}]="{2}"\nfi\n'
)


def settled(tree: Tree, state: State) -> Recorded:
    """The tree after the renderer, as the task does it"""
    root, log = tree.root(), Recorded()
    files = slackware.render(state)
    for path, text in files.items():
        root.install(path, text)
    slackware.settle(root, log, tuple(files))
    return log


def test_all_of_it() -> None:
    files = slackware.render(State((states.STATIC, states.SPARE, states.IPV6, states.DHCP), (), ()))
    assert files[slackware.SETTINGS] == (
        f"{HEADER}MAXNICS=4\n\n"
        'IFNAME[0]="nic0"\nIPADDRS[0]="192.0.2.10/24"\nUSE_SLAAC[0]="yes"\nSLAAC_TIMEOUT[0]="1"\n'
        + BEFORE_15.format(0, "192.0.2.10", "255.255.255.0")
        + '\nIFNAME[1]="nic1"\nIPADDRS[1]="198.51.100.7/32"\nUSE_SLAAC[1]="yes"\nSLAAC_TIMEOUT[1]="1"\n'
        + BEFORE_15.format(1, "198.51.100.7", "255.255.255.255")
        + '\nIFNAME[2]="nic2"\nIP6ADDRS[2]="2001:db8::10/64"\n'
        '\nIFNAME[3]="nic3"\nUSE_DHCP[3]="yes"\nUSE_DHCP6[3]="yes"\n'
        '\nGATEWAY="192.0.2.1"\nGATEWAY6=""\n'
    )
    assert files[slackware.SCRIPT] == (
        f"#!/bin/sh\n{HEADER}# What rc.inet1 can't do\n"
        "ip link set dev nic1 up\n"
        "ip route replace 203.0.113.1/32 dev nic1 metric 100\n"
        "ip route replace default via 203.0.113.1 dev nic1 metric 100\n"
        "echo 0 >/proc/sys/net/ipv6/conf/nic2/accept_ra\n"
        "ip link set dev nic2 up\n"
        "ip address replace 2001:db8::10/64 dev nic2\n"
        "ip -6 route replace default via fe80::1 dev nic2\n"
    )


def variables(kind: str, tmp_path: Path, version: str) -> set[str]:
    """What bash makes of the settings"""
    text = slackware.render(State((applied.KINDS[kind],), (), ()))[slackware.SETTINGS]
    (tmp_path / "rc.inet1").write_text("IPADDRS" if version == "15" else "IPADDR")
    text = text.replace("/etc/rc.d/rc.inet1", str(tmp_path / "rc.inet1"))
    done = subprocess.run(["bash", "-uc", f"{text}set"], capture_output=True, text=True, check=True)
    assert not done.stderr
    return set(done.stdout.splitlines())


@pytest.mark.programs
@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("several", {'IPADDRS=([0]="192.0.2.10/24 198.51.100.9/25")', "GATEWAY=192.0.2.1", "GATEWAY6=2001:db8::1"}),
        ("several", {'IP6ADDRS=([0]="2001:db8::10/64 2001:db8:1::9/48")'}),
        ("mtu", {'MTU=([0]="1400")'}),
        ("on-link", {"GATEWAY="}),
        ("metric", {"GATEWAY=", "GATEWAY6="}),
        ("slaac", {'USE_DHCP6=([0]="yes")'}),
        ("dhcp", {'USE_DHCP=([0]="yes")', "GATEWAY="}),
        ("static-dhcp6", {'IPADDRS=([0]="192.0.2.10/24")', 'USE_DHCP6=([0]="yes")'}),
        ("none", {'IFNAME=([0]="nic0")', "MAXNICS=1"}),
    ],
)
def test_bash_reads_it(tmp_path: Path, kind: str, lines: set[str]) -> None:
    found = variables(kind, tmp_path, "15")
    assert lines <= found
    assert not [line for line in found if line.startswith(("IPADDR=", "NETMASK="))]


@pytest.mark.programs
def test_before_15(tmp_path: Path) -> None:
    assert {'IPADDR=([0]="192.0.2.10")', 'NETMASK=([0]="255.255.255.0")'} <= variables("several", tmp_path, "14.2")


@pytest.mark.root
@pytest.mark.parametrize("kind", [kind for kind in applied.STATIC if kind not in ("none", "slaac", "static-auto")])
def test_the_script_alone_does_all_but_the_first_ipv4(kind: str) -> None:
    """As where rc.inet1 knows no IPv6; a second time it has nothing to say"""
    interface = applied.STATIC[kind]
    script = slackware.render(State((interface,), (), ()))[slackware.SCRIPT]
    first = [address for address in interface.addresses if address.family == 4][:1]
    begin = "".join(f"ip address add {address.cidr} dev nic0\nip link set nic0 up\n" for address in first)
    if interface.mtu:
        begin += f"ip link set nic0 mtu {interface.mtu}\n"
    for address in first:
        if address.gateway and slackware._plain(address):
            begin += f"ip route add default via {address.gateway}\n"
    found, _ = applied.run(f"{begin}{script}{script}", [interface], named=True)
    assert found[interface.mac] == applied.wanted(interface)


def test_settled(tree: Tree) -> None:
    slackware15(tree)
    (tree / "/etc/rc.d/rc.inet1").chmod(0o644)
    (tree / "/etc/rc.d/rc.networkmanager").chmod(0o755)
    assert not slackware.active(tree.root())
    log = settled(tree, states.ALL)
    assert slackware.active(tree.root())
    assert len(log.of("info")) == 2
    assert tree.mode(slackware.SCRIPT) == 0o755
    assert tree.text(slackware.LOCAL) == f"#!/bin/bash\n{slackware.START}\n"
    assert tree.mode(slackware.SETTINGS) == 0o644
    before = tree.files()
    settled(tree, states.ALL)
    assert tree.files() == before
    settled(tree, State((states.STATIC,), (), ()))
    assert not (tree / slackware.SCRIPT).exists()


def test_without_rc_local(tree: Tree) -> None:
    slackware15(tree)
    (tree / slackware.LOCAL).unlink()
    settled(tree, states.ALL)
    assert tree.text(slackware.LOCAL) == f"#!/bin/sh\n{slackware.START}\n"
    assert tree.mode(slackware.LOCAL) == 0o755


PATHS = (
    slackware.SETTINGS,
    slackware.SCRIPT,
    slackware.LOCAL,
    "/etc/rc.d/rc.inet1",
    "/etc/rc.d/rc.networkmanager",
    "/etc/udev/rules.d/69-ganeti-net.rules",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(tree: Tree, trap: traps.Trap, path: str) -> None:
    slackware15(tree)
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))


@pytest.mark.parametrize("path", ["/etc/rc.d", "/etc/udev", "/etc/udev/rules.d"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(tree: Tree, trap: traps.Trap, path: str) -> None:
    slackware15(tree)
    traps.spring(trap, tree, path, lambda: settled(tree, states.ALL))
