"""wicked of SUSE Linux Enterprise and openSUSE Leap: ifcfg(5), ifroute(5)

Its files know an interface by the name in theirs, so `naming` gives it. Advertised routers are the kernel's affair and
are listened to unless sysctl says otherwise. Name servers go to netconfig, see `netconfig`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from helper_agent.api import Logger
from helper_agent.net import naming, routes
from helper_agent.net.ifupdown import PHYSICAL
from helper_agent.net.state import HEADER, Interface, State
from helper_agent.root import Root

FOLDER = "/etc/sysconfig/network"
ROUTES = f"{FOLDER}/routes"
SYSCTL = "/etc/sysctl.d/70-ganeti-net.conf"
UNIT = "wicked.service"
LINKS = "/etc/systemd/system/*.wants/wicked.service", "/etc/systemd/system/network.service"
OWN = re.compile(r"^[ \t]*(ETHERDEVICE|BRIDGE|BONDING_MASTER|TEAM_\w+|TUNNEL|VXLAN\w*|DUMMY|INTERFACETYPE)=", re.M)
"""What makes a file one for a device on top of others."""


def active(root: Root) -> bool:
    """Its service is enabled; the link network.service may lead to NetworkManager instead"""
    if not present(root):
        return False
    links = [link for pattern in LINKS for link in root.glob(pattern)]
    return any(root.is_symlink(link) and root.readlink(link).endswith(f"/{UNIT}") for link in links)


def present(root: Root) -> bool:
    """It is installed"""
    return root.is_file("/usr/sbin/wicked") or root.is_file("/usr/sbin/wickedd")


def render(state: State) -> Mapping[str, str]:
    """ifcfg-nic0 and ifroute-nic0 and so on, and what the kernel is told of routers"""
    files = dict(naming.rules(state))
    deaf = ""
    for interface in state.interfaces:
        if not interface.managed:
            continue
        files[f"{FOLDER}/ifcfg-{interface.name}"] = HEADER + _ifcfg(state, interface)
        if lines := _routes(interface):
            files[f"{FOLDER}/ifroute-{interface.name}"] = HEADER + lines
        if not interface.ipv6:
            deaf += f"net.ipv6.conf.{interface.name}.accept_ra = 0\n"
    if deaf:
        files[SYSCTL] = HEADER + deaf
    return files


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """The image's own files for Ethernet interfaces go away, and default routes for all; the service is enabled

    Raises:
        TaskError: one of them is a trap
        OSError
    """
    for path in root.glob(f"{FOLDER}/ifcfg-*"):
        name = path.rpartition("/ifcfg-")[2]
        if path in paths or not PHYSICAL.fullmatch(name) or not root.is_file(path) or OWN.search(root.read_text(path)):
            continue
        root.remove(path)
        log.info(f"The image's own configuration of an Ethernet interface, {path}, was removed")
    for path in root.glob(f"{FOLDER}/ifroute-*"):
        if path not in paths and PHYSICAL.fullmatch(path.rpartition("/ifroute-")[2]) and root.is_file(path):
            root.remove(path)
    if SYSCTL not in paths and root.is_file(SYSCTL):
        root.remove(SYSCTL)
    if root.is_file(ROUTES):
        root.edit(ROUTES, without_default)
    if not active(root):
        from helper_agent.init import base

        base.of(root).enable(root, "wicked")
        log.info("wicked is installed in the image, but was not enabled: enabled it")


def lacks(state: State) -> Sequence[str]:
    """What it can't do"""
    names = [each.name for each in state.interfaces if each.ipv6 == "auto" and not each.dhcp4]
    return [f"{' and '.join(names)}: wicked does SLAAC, and no DHCPv6 where routers ask for it"] if names else []


def without_default(text: str) -> str:
    """The file `routes` without default routes, which would contradict ours"""
    return "".join(
        line
        for line in re.findall(r"[^\n]*\n|[^\n]+", text)
        if (line.split() or [""])[0] not in ("default", "0.0.0.0/0", "0/0", "::/0")
    )


def _ifcfg(state: State, interface: Interface) -> str:
    # the boot waits for `auto`; there may be no DHCP server beside an address of its own
    waits = bool(interface.addresses) or not state.static
    lines = {"STARTMODE": "auto" if waits else "hotplug", "BOOTPROTO": _protocol(interface)}
    if interface.ipv6 in ("dhcp", "stateless"):
        lines["DHCLIENT6_MODE"] = "managed" if interface.ipv6 == "dhcp" else "info"
    for index, address in enumerate(interface.addresses):
        lines[f"IPADDR{f'_{index}' if index else ''}"] = address.cidr
    if interface.mtu:
        lines["MTU"] = str(interface.mtu)
    return "".join(f"{name}='{value}'\n" for name, value in lines.items())


def _protocol(interface: Interface) -> str:
    """BOOTPROTO; `dhcp` wants one of the two DHCP, dhcp4 and dhcp6 both, static is always included"""
    if interface.dhcp4:
        return "dhcp" if interface.ipv6 else "dhcp4"
    if interface.ipv6 in ("dhcp", "stateless"):
        return "dhcp6"
    return "auto6" if interface.ipv6 and not interface.addresses else "static"


def _routes(interface: Interface) -> str:
    """Destination, gateway, a field for the netmask, interface, options"""
    lines = ""
    for address in interface.addresses:
        if not address.gateway:
            continue
        if routes.needs_host_route(address):
            lines += f"{routes.host(address)} - - {interface.name}{routes.metric(address)}\n"
        lines += f"default {address.gateway} - {interface.name}{routes.metric(address)}\n"
    return lines
