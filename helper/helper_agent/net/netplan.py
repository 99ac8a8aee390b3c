"""netplan with networkd: one file of YAML, from which it makes networkd's at boot

It merges all its files in the order of their names: mappings key by key, lists one behind the other. So a definition of
an Ethernet interface elsewhere can't be overridden from ours, which names interfaces by their MAC address: both would
count, for the same device. Files with such definitions are taken out.

Where it makes NetworkManager's files, those are better written at once (`networkmanager`): it can't say there that no
advertisement is accepted, and gives an interface with IPv6 alone an IPv4 address of 169.254.0.0/16 (0.106).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from helper_agent.api import Logger
from helper_agent.net import cloud_v2, ifupdown, yaml
from helper_agent.net.state import HEADER, Interface, State
from helper_agent.root import Root

FOLDER = "/etc/netplan"
OURS = f"{FOLDER}/99-ganeti.yaml"
MODE = 0o600
"""netplan warns of files that others can read."""
VENDOR = "/lib/netplan", "/usr/lib/netplan"
PROGRAMS = "/usr/sbin/netplan", "/usr/bin/netplan"
NETWORKD = "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
NETWORK_MANAGER = re.compile(r"\brenderer[\"']?:\s*[\"']?NetworkManager\b")


def active(root: Root) -> bool:
    """It tells networkd, or could, since that is enabled; but not where networkd has files of its own"""
    if not present(root) or root.glob("/etc/systemd/network/*.network"):
        return False
    told = tells(root)
    return told == "networkd" or (not told and root.is_symlink(NETWORKD))


def tells(root: Root) -> str:
    """Which system its files are for: networkd, NetworkManager, "" without files"""
    texts = [_uncommented(root, path) for path in files(root)]
    if any(NETWORK_MANAGER.search(text) for text in texts):
        return "NetworkManager"
    return "networkd" if texts else ""


def present(root: Root) -> bool:
    """It is installed"""
    return any(root.exists(path) for path in PROGRAMS)


def files(root: Root) -> list[str]:
    """All that it reads; of several with one name, /etc has the one that counts"""
    found: dict[str, str] = {}
    for folder in (FOLDER, *VENDOR):
        for path in root.glob(f"{folder}/*.yaml"):
            found.setdefault(path.rpartition("/")[2], path)
    return [path for path in found.values() if root.is_file(path)]


def render(state: State) -> Mapping[str, str]:
    """One file; an interface that is to stay down is not in it"""
    ethernets = {each.name: _interface(state, each) for each in state.interfaces if each.managed}
    network = {"version": 2, **({"ethernets": ethernets} if ethernets else {})}
    return {OURS: HEADER + yaml.dump({"network": network})}


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """The image's own definitions of Ethernet interfaces go away, in its files and in ifupdown's"""
    prune(root, log, paths)
    if ifupdown.present(root):
        ifupdown.prune(root, log, paths)


def prune(root: Root, log: Logger, keep: Sequence[str] = ()) -> None:
    """Take the files with definitions of Ethernet interfaces out, `keep` excepted

    What else such a file defines goes with them, but for the system that it chooses: it is not parsed.

    Raises:
        TaskError: one of them is a trap
        OSError
    """
    for path in files(root):
        text = "" if path in keep else _uncommented(root, path)
        if not re.search(r"\bethernets\b", text):
            continue
        ours = f"{FOLDER}/{path.rpartition('/')[2]}"
        chosen = {"renderer": "NetworkManager"} if NETWORK_MANAGER.search(text) else {}
        if path == ours and not chosen:
            root.remove(path)
        else:
            root.install(ours, HEADER + yaml.dump({"network": {"version": 2, **chosen}}), mode=MODE, follow=False)
        log.info(f"The image's own configuration of Ethernet interfaces, {path}, was taken out")


def _uncommented(root: Root, path: str) -> str:
    lines = root.read_text(path).split("\n")
    return "\n".join(line.partition(" #")[0] for line in lines if line.lstrip()[:1] != "#")


def _interface(state: State, interface: Interface) -> dict[str, Any]:
    made: dict[str, Any] = {"match": {"macaddress": interface.mac}}
    if not interface.addresses and state.static:
        made["optional"] = True  # the other interfaces' addresses are enough to be online
    made["dhcp4"] = interface.dhcp4
    # both systems ask by DHCPv6 when a router says so; NetworkManager listens to routers only with this
    made["dhcp6"] = bool(interface.ipv6)
    made["accept-ra"] = bool(interface.ipv6)
    if interface.mtu:
        made["mtu"] = interface.mtu
    if interface.addresses:
        made["addresses"] = [each.cidr for each in interface.addresses]
    if routes := [cloud_v2.route(each) for each in interface.addresses if each.gateway]:
        made["routes"] = routes
    if names := _names(state, interface):
        made["nameservers"] = names
    return made


def _names(state: State, interface: Interface) -> dict[str, Any]:
    """Servers of the families that the interface has; with others a connection is not valid for NetworkManager"""
    families = {each.family for each in interface.addresses}
    families |= {4} if interface.dhcp4 else set()
    families |= {6} if interface.ipv6 else set()
    servers = [server for server in state.dns_servers if (6 if ":" in server else 4) in families]
    names = {"addresses": servers, "search": list(state.dns_search)}
    return {key: value for key, value in names.items() if value}
