"""NetworkManager: a keyfile (nm-settings-keyfile(5)) for each interface, matched by MAC address

IPv6 by DHCPv6 is its method auto too: it asks when a router says so. Its method dhcp listens to no router, and who has
no router has no way out. Without IPv6 it is link-local, since `disabled` is an error before version 1.20.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helper_agent.api import Logger
from helper_agent.net import ifupdown
from helper_agent.net.state import HEADER, Address, Interface, State
from helper_agent.root import Root

FOLDER = "/etc/NetworkManager/system-connections"
PREFIX = "ganeti-"
SUFFIX = ".nmconnection"
DOWN = "/etc/NetworkManager/conf.d/90-ganeti-down.conf"
"""What it is to leave alone."""
MODE = 0o600
"""It ignores files that others can read."""
RESOLVES = True
NAMESPACE = "b0a3f2d4-6a0e-4d51-9d0c-7f1c7f7ad1f5"
"""UUIDs of the connections are made from it and the MAC address."""
PRIORITY = 100
"""Over other connections that fit the device."""
IFCFG = "/etc/sysconfig/network-scripts"
UNIT = "NetworkManager.service"
UNITS = "/usr/lib/systemd/system", "/lib/systemd/system"
WANTS = "/etc/systemd/system"
ENABLED = (
    f"{WANTS}/multi-user.target.wants/{UNIT}",
    "/etc/runlevels/*/[nN]etwork[mM]anager",
    "/etc/runit/runsvdir/*/NetworkManager",
    "/etc/rc[2-5].d/S??network-manager",
)
"""By systemd, OpenRC, runit, sysvinit."""
LINKS = {
    f"multi-user.target.wants/{UNIT}": UNIT,
    "network-online.target.wants/NetworkManager-wait-online.service": "NetworkManager-wait-online.service",
    "dbus-org.freedesktop.nm-dispatcher.service": "NetworkManager-dispatcher.service",
}
"""What `systemctl enable NetworkManager` makes."""
GLOBALLY_MANAGED = "NetworkManager/conf.d/10-globally-managed-devices.conf"
"""Ubuntu's file by which it leaves Ethernet interfaces to networkd; one of that name in /etc counts instead."""


def active(root: Root) -> bool:
    """Its service is enabled"""
    return present(root) and any(root.glob(pattern) for pattern in ENABLED)


def present(root: Root) -> bool:
    """It is installed"""
    return root.exists("/usr/sbin/NetworkManager") or root.exists("/usr/bin/NetworkManager")


def render(state: State) -> Mapping[str, str]:
    """One file for each interface, and one for those that are to stay down"""
    files = {
        f"{FOLDER}/{PREFIX}{each.name}{SUFFIX}": HEADER + _connection(state, each)
        for each in state.interfaces
        if each.managed
    }
    down = [each for each in state.interfaces if not each.managed]
    text = "".join(f"[device-ganeti-{each.name}]\nmatch-device=mac:{each.mac}\nmanaged=0\n" for each in down)
    return {**files, **({DOWN: HEADER + text} if down else {})}


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """Other connections of Ethernet interfaces go away, ifupdown lets go of them, the service is enabled"""
    from helper_agent.net import netplan

    if DOWN not in paths and root.is_file(DOWN):
        root.remove(DOWN)
    for path in root.glob(f"{FOLDER}/*"):
        if path not in paths and root.is_file(path) and _is_ethernet(root.read_text(path)):
            root.remove(path)
            if not path.startswith(f"{FOLDER}/{PREFIX}"):
                log.info(f"The image's own connection {path} was taken out")
    for path in root.glob(f"{IFCFG}/ifcfg-*"):
        if root.is_file(path) and _is_ethernet_ifcfg(path, root.read_text(path)):
            root.remove(path)
            log.info(f"The image's own configuration of an Ethernet interface, {path}, was taken out")
    if ifupdown.present(root):
        ifupdown.prune(root, log, paths)  # it leaves alone what ifupdown has
    netplan.prune(root, log)
    if root.exists(f"/usr/lib/{GLOBALLY_MANAGED}"):
        root.install(f"/etc/{GLOBALLY_MANAGED}", HEADER)
    folder = next((folder for folder in UNITS if root.is_file(f"{folder}/{UNIT}")), "")
    if folder and not active(root):
        for link, unit in LINKS.items():
            if root.is_file(f"{folder}/{unit}"):
                root.symlink(f"{folder}/{unit}", f"{WANTS}/{link}")
        log.info("NetworkManager is installed in the image, but was not enabled: enabled it")


def _is_ethernet(text: str) -> bool:
    """Whether a keyfile is for an Ethernet interface that is no port of a bond or bridge"""
    values = _values(text)
    kind = values.get("type", "")
    port = any(values.get(key) for key in ("master", "controller", "slave-type", "port-type"))
    return kind in ("ethernet", "802-3-ethernet") and not port


def _is_ethernet_ifcfg(path: str, text: str) -> bool:
    name = path.rpartition("/ifcfg-")[2]
    values = _values(text)
    kind = values.get("TYPE", "Ethernet" if "DEVICETYPE" not in values else "").lower()
    port = any(values.get(key) for key in ("MASTER", "SLAVE", "BRIDGE", "TEAM_MASTER", "VLAN", "MASTER_UUID"))
    return name != "lo" and values.get("DEVICE", name) != "lo" and kind == "ethernet" and not port


def _values(text: str) -> dict[str, str]:
    """The settings of a keyfile or a shell file, whatever their section"""
    pairs = (line.partition("=") for line in text.split("\n") if not line.lstrip().startswith("#"))
    found: dict[str, str] = {}
    for key, equals, value in pairs:
        if equals:
            found.setdefault(key.strip(), value.strip().strip("\"'"))
    return found


def _connection(state: State, interface: Interface) -> str:
    import uuid  # late: it costs an emulated guest time

    identity = uuid.uuid5(uuid.UUID(NAMESPACE), interface.mac)
    text = f"[connection]\nid={PREFIX}{interface.name}\nuuid={identity}\ntype=ethernet\n"
    text += f"autoconnect-priority={PRIORITY}\n\n[ethernet]\nmac-address={interface.mac.upper()}\n"
    text += f"mtu={interface.mtu}\n" if interface.mtu else ""
    four = [each for each in interface.addresses if each.family == 4]
    six = [each for each in interface.addresses if each.family == 6]
    method4 = "auto" if interface.dhcp4 else "manual" if four else "disabled"
    method6 = "auto" if interface.ipv6 else "manual" if six else "link-local"
    text += f"\n[ipv4]\nmethod={method4}\n" + _addresses(four)
    text += _dns(state, 4) if method4 != "disabled" else ""
    text += f"\n[ipv6]\nmethod={method6}\naddr-gen-mode=0\nip6-privacy=0\n" + _addresses(six)
    return text + (_dns(state, 6) if method6 != "link-local" else "")


def _addresses(addresses: Sequence[Address]) -> str:
    text = ""
    for number, address in enumerate(sorted(addresses, key=lambda each: not each.gateway), 1):
        text += f"address{number}={address.cidr}{f',{address.gateway}' if address.gateway else ''}\n"
        text += f"route-metric={address.metric}\n" if address.metric else ""
    return text


def _dns(state: State, family: int) -> str:
    servers = [server for server in state.dns_servers if (":" in server) == (family == 6)]
    text = f"dns={';'.join(servers)};\n" if servers else ""
    return text + (f"dns-search={';'.join(state.dns_search)};\n" if state.dns_search else "")
