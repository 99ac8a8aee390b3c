"""Gentoo's netifrc: a service net.NAME of OpenRC for each interface

Its module `macnet` takes settings by MAC address, but a service has to be named after the interface all the same, so
`naming` gives the name and the settings are by it. They are in /etc/conf.d/net.NAME, which OpenRC reads after the
common /etc/conf.d/net: that one stays the image's own, and a `preup` of ours is no other interface's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helper_agent.api import Logger
from helper_agent.net import naming, routes
from helper_agent.net.ifupdown import PHYSICAL
from helper_agent.net.state import HEADER, Interface, State
from helper_agent.root import Root

SETTINGS = "/etc/conf.d"
SCRIPTS = "/etc/init.d"
RUNLEVELS = "/etc/runlevels"
TEMPLATE = f"{SCRIPTS}/net.lo"
DHCPCD = "/sbin/dhcpcd", "/usr/sbin/dhcpcd", "/bin/dhcpcd", "/usr/bin/dhcpcd"


def active(root: Root) -> bool:
    """A service of an interface is in a runlevel"""
    names = {link.rpartition("/net.")[2] for link in root.glob(f"{RUNLEVELS}/*/net.*")}
    return present(root) and bool(names - {"lo"})


def present(root: Root) -> bool:
    """It is installed"""
    return root.is_file(TEMPLATE)


def render(state: State) -> Mapping[str, str]:
    """A file of settings for each interface"""
    files = dict(naming.rules(state))
    for interface in state.interfaces:
        if interface.managed:
            files[f"{SETTINGS}/net.{interface.name}"] = HEADER + _settings(state, interface)
    return files


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """Services of Ethernet interfaces are those of ours alone, each in the runlevel `default`

    Raises:
        TaskError: one of them is a trap
        OSError
    """
    wanted = {path.rpartition("/net.")[2] for path in paths if path.startswith(f"{SETTINGS}/net.")}
    for folder in (f"{RUNLEVELS}/*", SCRIPTS, SETTINGS):
        for path in root.glob(f"{folder}/net.*"):
            name = path.rpartition("/net.")[2]
            if name in wanted or not PHYSICAL.fullmatch(name):
                continue
            if folder == SETTINGS and not name.startswith("nic"):
                continue  # without its service it means nothing
            if root.is_symlink(path) or root.is_file(path):
                root.remove(path)
                log.info(f"The image's own configuration of an Ethernet interface, {path}, was removed")
    for name in sorted(wanted):
        root.symlink("net.lo", f"{SCRIPTS}/net.{name}")
        root.symlink(f"{SCRIPTS}/net.{name}", f"{RUNLEVELS}/default/net.{name}")
    from helper_agent.init import base

    system = base.of(root)
    for service in ("dhcpcd", "NetworkManager"):
        if system.installed(root, service) and system.disable(root, service):
            log.info(f"{service} configures every interface by itself: it was taken out of the runlevels")
    texts = [root.read_text(path) for path in paths]
    if any("dhcpcd_" in text for text in texts) and not any(root.exists(path) for path in DHCPCD):
        log.warning("DHCPv6 by netifrc needs dhcpcd, which the image doesn't have")


def lacks(state: State) -> Sequence[str]:
    """What it can't do"""
    names = [each.name for each in state.interfaces if each.ipv6 == "auto" and not each.dhcp4]
    return [f"{' and '.join(names)}: netifrc does SLAAC, and no DHCPv6 where routers ask for it"] if names else []


def _settings(state: State, interface: Interface) -> str:
    name = interface.name
    lines = {"modules": "iproute2"}
    own = [address.cidr for address in interface.addresses]
    dhcp = interface.dhcp4 or interface.ipv6 in ("dhcp", "stateless")
    lines["config"] = "\n".join([*own, *(["dhcp"] if dhcp else [])]) or "null"
    ways = [f"{'-6 ' if family == 6 else ''}{_bare(route)}" for family, route in routes.commands(interface)]
    if ways:
        lines["routes"] = "\n".join(ways)
    if dhcp and not (interface.dhcp4 and interface.ipv6):
        # of both families, unless told otherwise; dhcpcd does what routers say: SLAAC, DHCPv6 or both
        lines["modules"] += " dhcpcd"
        lines["dhcpcd"] = "-4" if interface.dhcp4 else "-6"
    if interface.mtu:
        lines["mtu"] = str(interface.mtu)
    if state.dns_servers:
        lines["dns_servers"] = " ".join(state.dns_servers)
    if state.dns_search:
        lines["dns_search"] = " ".join(state.dns_search)
    text = "".join(f'{key}_{name}="{value}"\n' for key, value in lines.items())
    if not interface.ipv6:
        text += f"preup() {{\n\techo 0 >/proc/sys/net/ipv6/conf/{name}/accept_ra\n\treturn 0\n}}\n"
    return text


def _bare(route: str) -> str:
    """Without the device, which netifrc adds"""
    words = route.split()
    at = words.index("dev")
    return " ".join(words[:at] + words[at + 2 :])
