"""Slackware's /etc/rc.d/rc.inet1.conf, a shell file of arrays with one place for each interface

Its HWADDR sets an address and matches none, so `naming` gives the names. What rc.inet1 can't do (ways out that are in
no subnet or spare; before Slackware 15 also IPv6 and further addresses) is done by a script of ours, which rc.local
starts, and which does no harm where it is done already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helper_agent.api import Logger
from helper_agent.net import naming, routes
from helper_agent.net.state import HEADER, Address, Interface, State
from helper_agent.root import Root

SETTINGS = "/etc/rc.d/rc.inet1.conf"
SCRIPT = "/etc/rc.d/rc.ganeti-net"
LOCAL = "/etc/rc.d/rc.local"
START = f"if [ -x {SCRIPT} ]; then {SCRIPT}; fi"
PATIENCE = 1
"""Seconds for a router's advertisement before an address of its own is set; it counts later too."""


def active(root: Root) -> bool:
    """rc.inet1 is executable, and NetworkManager is not"""
    from helper_agent.init import slackware as rc

    return present(root) and rc.is_enabled(root, "inet1") and not rc.is_enabled(root, "networkmanager")


def present(root: Root) -> bool:
    """It is installed"""
    return root.is_file("/etc/rc.d/rc.inet1")


def render(state: State) -> Mapping[str, str]:
    """Settings, and where they are not enough a script"""
    files = dict(naming.rules(state))
    files[SETTINGS] = HEADER + _settings(state)
    lines = "".join(_commands(interface) for interface in state.interfaces)
    if lines:
        files[SCRIPT] = f"#!/bin/sh\n{HEADER}# What rc.inet1 can't do\n{lines}"
    return files


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """rc.inet1 is executable, rc.networkmanager is not; rc.local starts our script

    Raises:
        TaskError: one of them is a trap
        OSError
    """
    from helper_agent.init import slackware as rc

    if rc.enable(root, "inet1"):
        log.info("The image's rc.inet1 was not executable: made it so")
    if rc.disable(root, "networkmanager"):
        log.info("NetworkManager configures every interface by itself: its script is no longer executable")
    if SCRIPT in paths:
        root.chmod(SCRIPT, 0o755)
        root.edit(LOCAL, _started, mode=0o755)
    else:
        root.remove(SCRIPT)


def lacks(state: State) -> Sequence[str]:
    """What it can't do"""
    names = [each.name for each in state.interfaces if each.ipv6 == "auto" and each.addresses and not each.dhcp4]
    return [f"{' and '.join(names)}: Slackware does SLAAC, and no DHCPv6 where routers ask for it"] if names else []


def _started(text: str) -> str:
    if START in text.split("\n"):
        return text
    return f"{text or '#!/bin/sh'}{'' if text.endswith(chr(10)) else chr(10)}{START}\n"


def _settings(state: State) -> str:
    text = f"MAXNICS={max(1, len(state.interfaces))}\n"
    ways: dict[int, str] = {}
    for index, interface in enumerate(state.interfaces):
        text += "\n" + _interface(interface, index)
        for address in interface.addresses:
            if address.gateway and _plain(address):
                ways[address.family] = address.gateway
    return f'{text}\nGATEWAY="{ways.get(4, "")}"\nGATEWAY6="{ways.get(6, "")}"\n'


def _interface(interface: Interface, index: int) -> str:
    lines = {"IFNAME": interface.name}
    own = routes.of_family(interface, 4)
    if own:
        lines["IPADDRS"] = " ".join(address.cidr for address in own)
    if interface.dhcp4:
        lines["USE_DHCP"] = "yes"
    if others := routes.of_family(interface, 6):
        lines["IP6ADDRS"] = " ".join(address.cidr for address in others)
    if interface.ipv6 == "auto" and interface.addresses and not interface.dhcp4:
        lines |= {"USE_SLAAC": "yes", "SLAAC_TIMEOUT": str(PATIENCE)}
    elif interface.ipv6:
        lines["USE_DHCP6"] = "yes"  # dhcpcd, which does what routers say: SLAAC, DHCPv6 or both
    if interface.mtu:
        lines["MTU"] = str(interface.mtu)
    text = "".join(f'{name}[{index}]="{value}"\n' for name, value in lines.items())
    if own and not interface.dhcp4:
        text += "# Before Slackware 15\nif ! grep -q IPADDRS /etc/rc.d/rc.inet1 2>/dev/null; then\n"
        text += f'  IPADDR[{index}]="{own[0].address}"\n  NETMASK[{index}]="{routes.netmask(own[0].prefix)}"\nfi\n'
    return text


def _plain(address: Address) -> bool:
    """Whether GATEWAY and GATEWAY6 can say its way out: without a device and a metric, once"""
    return not address.on_link and not address.metric and not routes.link_local(address.gateway)


def _commands(interface: Interface) -> str:
    """What may be left to do, so that doing it twice is no error"""
    if not interface.managed:
        return ""
    name = interface.name
    own = routes.of_family(interface, 4)
    further = [*own[0 if interface.dhcp4 else 1 :], *routes.of_family(interface, 6)]
    ways = [each for each in interface.addresses if each.gateway and (each.family == 6 or not _plain(each))]
    lines = [] if interface.ipv6 else [f"echo 0 >/proc/sys/net/ipv6/conf/{name}/accept_ra"]
    if further or ways or not (own or interface.dhcp4):
        lines.append(f"ip link set dev {name} up")
    lines += [f"ip address replace {address.cidr} dev {name}" for address in further]
    for family, route in routes.commands(interface._replace(addresses=tuple(ways))):
        lines.append(f"ip {'-6 ' if family == 6 else ''}route replace {route}")
    return "".join(f"{line}\n" for line in lines)
