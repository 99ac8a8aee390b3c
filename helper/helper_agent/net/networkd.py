"""systemd-networkd: systemd.network(5), one file for each interface, matched by MAC address"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helper_agent.api import Logger
from helper_agent.net import ifupdown, netplan
from helper_agent.net.state import HEADER, Address, Interface, State
from helper_agent.root import Root

FOLDER = "/etc/systemd/network"
PREFIX = "00-ganeti-"
"""First in the order of names, since the first file that matches wins (netplan's begin with 10-)."""
UNIT = "systemd-networkd.service"
UNITS = "/usr/lib/systemd/system", "/lib/systemd/system"
WANTS = "/etc/systemd/system"
LINKS = {
    f"multi-user.target.wants/{UNIT}": UNIT,
    "sockets.target.wants/systemd-networkd.socket": "systemd-networkd.socket",
    "network-online.target.wants/systemd-networkd-wait-online.service": "systemd-networkd-wait-online.service",
    "dbus-org.freedesktop.network1.service": UNIT,
}
"""What `systemctl enable systemd-networkd` makes."""


def active(root: Root) -> bool:
    """Its service is enabled, or netplan has files for it, by which that starts it; files for NetworkManager count more"""
    if not present(root):
        return False
    told = netplan.tells(root)
    return told == "networkd" or (not told and root.is_symlink(f"{WANTS}/multi-user.target.wants/{UNIT}"))


def present(root: Root) -> bool:
    """It is installed; Debian has it in systemd's own package"""
    return any(root.is_file(f"{folder}/{UNIT}") for folder in UNITS)


def render(state: State) -> Mapping[str, str]:
    """One file for each interface"""
    return {f"{FOLDER}/{PREFIX}{each.name}.network": HEADER + _interface(state, each) for each in state.interfaces}


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """Files of an earlier run go away, ifupdown lets go of Ethernet interfaces, the service is enabled"""
    for path in root.glob(f"{FOLDER}/{PREFIX}*.network"):
        if path not in paths:
            root.remove(path)
    if ifupdown.present(root):
        ifupdown.prune(root, log, paths)
    if not active(root):
        folder = next(folder for folder in UNITS if root.is_file(f"{folder}/{UNIT}"))
        for link, unit in LINKS.items():
            if root.is_file(f"{folder}/{unit}"):
                root.symlink(f"{folder}/{unit}", f"{WANTS}/{link}")
        log.info("systemd-networkd is installed in the image, but was not enabled: enabled it")


def _interface(state: State, interface: Interface) -> str:
    # Type=ether: a VLAN or bridge on top of the interface has the same MAC address
    text = f"[Match]\nMACAddress={interface.mac}\nType=ether\n"
    if not interface.managed:
        return f"{text}\n[Link]\n# Left down\nUnmanaged=yes\n"
    link = f"MTUBytes={interface.mtu}\n" if interface.mtu else ""
    if not interface.addresses and state.static:
        link += "# The other interfaces' addresses are enough to be online; there may be no DHCP server here\n"
        link += "RequiredForOnline=no\n"
    text += f"\n[Link]\n{link}" if link else ""
    text += f"\n[Network]\n{_dynamic(interface)}"
    text += "".join(f"Address={address.cidr}\n" for address in interface.addresses)
    text += "" if interface.ipv6 else "IPv6AcceptRA=no\n"
    text += "".join(f"DNS={server}\n" for server in state.dns_servers)
    if state.dns_search:
        text += f"Domains={' '.join(state.dns_search)}\n"
    text += "".join(_route(address) for address in interface.addresses if address.gateway)
    # without these it asks only where a router says that there is a server
    return text + ("\n[DHCPv6]\nWithoutRA=solicit\n" if interface.ipv6 == "dhcp" else "")


def _dynamic(interface: Interface) -> str:
    """Which of the two DHCP clients may run; for `auto` a router's advertisement starts the second"""
    if interface.dhcp4:
        return "DHCP=yes\n" if interface.ipv6 else "DHCP=ipv4\n"
    return "DHCP=ipv6\n" if interface.ipv6 in ("dhcp", "stateless") else ""


def _route(address: Address) -> str:
    text = f"\n[Route]\nGateway={address.gateway}\n"
    if address.on_link:
        text += "GatewayOnLink=yes\n"
    if address.metric:
        text += f"Metric={address.metric}\n"
    return text
