"""Each renderer's files with the real network system, for every kind of interface at once"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from helper_agent.net import dns, ifupdown, netplan, networkd, networkmanager
from helper_agent.net.state import State
from tests.helper.net import live, states
from tests.helper.support import Tree

pytestmark = pytest.mark.root

STATE = states.everything()
NETWORKD = "SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-networkd &"
ROOT = Path(__file__).parents[3]
UNPACKED = ROOT / "build/unpacked/network-manager"
"""Debian's package, with what it depends on; installed it would take hold of the machine's own network."""
NETWORK_MANAGER = f"""
cp -r {UNPACKED}/etc/. /etc/
[ ! -d {UNPACKED}/lib ] || cp -r {UNPACKED}/lib/. {UNPACKED}/usr/lib/
mount -t overlay none -o lowerdir={UNPACKED}/usr:/usr /usr
mkdir -p /var/lib/NetworkManager 2>/dev/null || mount -t tmpfs none /var/lib
dbus-daemon --system --fork --nopidfile
NetworkManager --debug --config=nm.conf &
"""
NM_CONF = """[main]
plugins=keyfile
dhcp=internal
dns=none
rc-manager=unmanaged
[connectivity]
enabled=false
"""


def put(folder: Path, files: Mapping[str, str], mode: int = 0o644) -> None:
    for path, text in files.items():
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)


def test_networkd(tmp_path: Path) -> None:
    put(tmp_path, networkd.render(STATE))
    script = f"cp etc/systemd/network/* /run/systemd/network/\n{NETWORKD}"
    with live.started(tmp_path, STATE, script) as namespace:
        assert namespace.differences(STATE) == []
        assert "gnoring" not in namespace.output.read_text()
        moved = STATE._replace(
            interfaces=tuple(
                each._replace(mac=STATE.interfaces[index - 1].mac) for index, each in enumerate(STATE.interfaces)
            )
        )
        wrong = {text.partition(":")[0] for text in namespace.now(moved)}
        assert len(wrong) > len(STATE.interfaces) - 4, "what is wrong is seen"


def test_ifupdown(tmp_path: Path) -> None:
    put(tmp_path, ifupdown.render(STATE))
    # As systemd does it: udev has asked for ifup@nicN, which waits for that name; networking.service gives the names
    names = " ".join(f"d{number}" for number in range(len(STATE.interfaces)))
    script = f"""
    cp etc/network/interfaces.d/ganeti /etc/network/interfaces
    asked=$(for name in {names}; do ifquery --allow hotplug --list $name; done)
    ifup --verbose -a || echo FAILED
    for name in $asked; do ifup --verbose --allow=hotplug $name || echo FAILED $name & done
    """
    with live.started(tmp_path, STATE, script) as namespace:
        assert namespace.differences(STATE) == []
        assert "FAILED" not in namespace.output.read_text()


def test_dhclient_puts_our_name_servers_first(tmp_path: Path) -> None:
    """It writes resolv.conf itself where there is no resolvconf"""
    state = State((states.KINDS["dhcp"],), STATE.dns_servers, STATE.dns_search)
    tree = Tree(tmp_path)
    tree.put("/etc/dhcp/dhclient.conf", Path("/etc/dhcp/dhclient.conf").read_text())
    dns.apply(tree.root(), state)
    tree.close()
    script = """
    rm -rf /etc/resolv.conf /etc/dhcp/dhclient-enter-hooks.d/resolv*
    cp etc/dhcp/dhclient.conf /etc/dhcp/
    dhclient -1 d0
    """
    with live.started(tmp_path, state, script) as namespace:
        assert namespace.differences(state) == []
        text = namespace.text("/etc/resolv.conf")
    assert "nameserver 192.0.2.53\nnameserver 10.30.0.1\n" in text
    assert "search example.org. lab." in text


def on_cables(files: Mapping[str, str]) -> dict[str, str]:
    """A virtual cable has no permanent MAC address, by which NetworkManager finds those that it is to leave alone"""
    text = files[networkmanager.DOWN]
    for number, each in enumerate(STATE.interfaces):
        text = text.replace(f"mac:{each.mac}", f"interface-name:d{number}")
    return {**files, networkmanager.DOWN: text}


def test_networkmanager(tmp_path: Path) -> None:
    put(tmp_path, on_cables(networkmanager.render(STATE)), networkmanager.MODE)
    put(tmp_path, {"nm.conf": NM_CONF})
    assert (UNPACKED / "usr/sbin/NetworkManager").is_file(), (
        f"{UNPACKED} is not there; make {UNPACKED.relative_to(ROOT)}"
    )
    script = f"mkdir -p /etc/NetworkManager\ncp -r etc/NetworkManager/. /etc/NetworkManager/\n{NETWORK_MANAGER}"
    with live.started(tmp_path, STATE, script) as namespace:
        assert namespace.differences(STATE) == []


def test_netplan(tmp_path: Path) -> None:
    put(tmp_path, netplan.render(STATE), netplan.MODE)
    # a virtual cable has no permanent MAC address, by which netplan has networkd find interfaces
    script = f"""
    netplan generate --root-dir .
    sed -i s/^PermanentMACAddress=/MACAddress=/ run/systemd/network/*.network
    cp run/systemd/network/* /run/systemd/network/
    {NETWORKD}
    """
    with live.started(tmp_path, STATE, script) as namespace:
        assert namespace.differences(STATE) == []
