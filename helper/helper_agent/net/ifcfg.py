"""ifcfg files of Red Hat's systems up to 8 (EL 6, 7, 8 and theirs)

Two programs read them: the network scripts (`network.service`) and NetworkManager's plugin ifcfg-rh; which of them does
is the image's affair, so NM_CONTROLLED stays away and every line means the same to both. Devices get their name by
HWADDR: udev's `rename_device` does it, and `naming` where that is not installed. Routes want the name.

NetworkManager gives an Ethernet device's default route the metric 100, so spare ones begin there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from helper_agent.api import Logger, TaskError
from helper_agent.net import naming, routes
from helper_agent.net.ifupdown import PHYSICAL
from helper_agent.net.state import HEADER, Address, Interface, State
from helper_agent.root import Root

FOLDER = "/etc/sysconfig/network-scripts"
GLOBAL = "/etc/sysconfig/network"
SCRIPT = f"{FOLDER}/ifup-eth"
PLUGINS = "/usr/lib*/NetworkManager/libnm-settings-plugin-ifcfg-rh.so", "/usr/lib*/NetworkManager/*/libnm-*-ifcfg-rh.so"
SERVICE = "/etc/rc.d/init.d/network"
RUNLEVELS = "2345"
NM_METRIC = 100
COMPANIONS = ("ifcfg", "route", "route6", "rule", "rule6", "keys")
ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?(\w+)=(.*)$", re.M)
CONTRADICTING = re.compile(r"\s*(GATEWAY|GATEWAYDEV|IPV6_DEFAULTGW|IPV6_DEFAULTDEV)\s*=")


def active(root: Root) -> bool:
    """Its files are read by a service that is enabled"""
    scripts = root.is_file(SCRIPT) and bool(root.glob("/etc/rc.d/rc[35].d/S??network"))
    return scripts or (_plugin(root) and _network_manager(root))


def present(root: Root) -> bool:
    """The network scripts are installed, or NetworkManager with its plugin"""
    return (root.is_file(SCRIPT) and root.is_file(SERVICE)) or _plugin(root)


def render(state: State) -> Mapping[str, str]:
    """ifcfg-nic0 and so on, with the routes that it can't say in files beside it"""
    files = dict(naming.rules(state))
    for interface in state.interfaces:
        name = interface.name
        files[f"{FOLDER}/ifcfg-{name}"] = HEADER + _ifcfg(state, interface)
        if interface.dhcp4:  # the scripts leave IPADDR out beside DHCP, but not such aliases
            for index, address in enumerate(routes.of_family(interface, 4)):
                files[f"{FOLDER}/ifcfg-{name}:{index}"] = HEADER + _alias(interface, address, index)
        for family, kind in ((4, "route"), (6, "route6")):
            if lines := _routes(interface, family):
                files[f"{FOLDER}/{kind}-{name}"] = HEADER + lines
    return files


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """The image's own files for Ethernet interfaces go away, and gateways for all; a service that reads ours is on

    Raises:
        TaskError: one of them is a trap, or no service is there
        OSError
    """
    for path in root.glob(f"{FOLDER}/ifcfg-*"):
        if path not in paths and root.is_file(path) and _ethernet(path, root.read_text(path)):
            _forget(root, path.rpartition("/ifcfg-")[2], paths)
            log.info(f"The image's own configuration of an Ethernet interface, {path}, was removed")
    root.edit(GLOBAL, _global)
    if active(root):
        return
    if _plugin(root):
        from helper_agent.init import base

        base.of(root).enable(root, "NetworkManager")
        log.info("NetworkManager is installed in the image, but was not enabled: enabled it")
    elif root.is_file(SERVICE):
        for level in RUNLEVELS:
            for link in root.glob(f"/etc/rc.d/rc{level}.d/[KS]??network"):
                root.remove(link)
            root.symlink("../init.d/network", f"/etc/rc.d/rc{level}.d/S10network")
        log.info("The image's network service was not enabled: enabled it")
    else:
        raise TaskError(
            "The image has nothing that reads ifcfg files", "install NetworkManager or network-scripts in it"
        )


def _plugin(root: Root) -> bool:
    return any(root.glob(pattern) for pattern in PLUGINS)


def _network_manager(root: Root) -> bool:
    return bool(
        root.glob("/etc/systemd/system/*.wants/NetworkManager.service")
        or root.glob("/etc/rc.d/rc[35].d/S??NetworkManager")
    )


def _ifcfg(state: State, interface: Interface) -> str:
    lines = {"DEVICE": interface.name, "TYPE": "Ethernet", "HWADDR": interface.mac.upper()}
    lines["ONBOOT"] = "yes" if interface.managed else "no"  # without a file NetworkManager would do DHCP there
    lines["BOOTPROTO"] = "dhcp" if interface.dhcp4 else "none"
    if not interface.dhcp4:
        for index, address in enumerate(routes.of_family(interface, 4)):
            number = str(index or "")
            lines |= {f"IPADDR{number}": address.address, f"PREFIX{number}": str(address.prefix)}
    if (way := routes.way_out(interface, 4)) and not interface.dhcp4:
        # the scripts leave out one that is in no subnet, NetworkManager needs nothing more for it
        lines["GATEWAY"] = way.gateway
        if way.metric:
            lines |= {"METRIC": _metric(way), "IPV4_ROUTE_METRIC": _metric(way)}
    lines |= _ipv6(interface)
    if interface.mtu:
        lines["MTU"] = str(interface.mtu)
    if interface.managed:
        lines |= {f"DNS{index}": server for index, server in enumerate(state.dns_servers, 1)}
        if state.dns_search:
            lines["DOMAIN"] = f'"{" ".join(state.dns_search)}"'
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _ipv6(interface: Interface) -> dict[str, str]:
    if not interface.managed:
        return {"IPV6INIT": "no"}
    # DHCPv6 alone (IPV6_AUTOCONF=no) would leave out the router, who alone tells the way out
    lines = {"IPV6INIT": "yes", "IPV6_AUTOCONF": "yes" if interface.ipv6 else "no"}
    own = routes.of_family(interface, 6)
    if own:
        lines["IPV6ADDR"] = own[0].cidr
    if own[1:]:
        lines["IPV6ADDR_SECONDARIES"] = f'"{" ".join(address.cidr for address in own[1:])}"'
    if way := routes.way_out(interface, 6):
        if way.metric:
            lines["IPV6_ROUTE_METRIC"] = _metric(way)
        else:
            lines["IPV6_DEFAULTGW"] = f"{way.gateway}%{interface.name}"
    if interface.ipv6 in ("dhcp", "stateless"):
        lines["DHCPV6C"] = "yes"
    if interface.ipv6 == "stateless":
        lines["DHCPV6C_OPTIONS"] = "-S"
    return lines


def _alias(interface: Interface, address: Address, index: int) -> str:
    return (
        f"DEVICE={interface.name}:{index}\nONBOOT=yes\nONPARENT=yes\nIPADDR={address.address}\n"
        f"PREFIX={address.prefix}\nNETMASK={routes.netmask(address.prefix)}\n"
    )


def _routes(interface: Interface, family: int) -> str:
    """Lines for `ip route add`, of the ways out that GATEWAY and IPV6_DEFAULTGW can't say to the scripts"""
    way = routes.way_out(interface, family)
    if way is None:
        return ""
    host = routes.needs_host_route(way)
    if not (host or (way.metric and family == 6) or (interface.dhcp4 and family == 4)):
        return ""
    metric = f" metric {_metric(way)}" if way.metric else ""
    lines = f"{routes.host(way)} dev {interface.name}{metric}\n" if host else ""
    return f"{lines}default via {way.gateway} dev {interface.name}{metric}\n"


def _metric(address: Address) -> str:
    return str(address.metric + (NM_METRIC if address.family == 4 else 0))


def _ethernet(path: str, text: str) -> bool:
    """Whether the file `path` is for an Ethernet interface; VLANs, bridges and bonds are the image's own affair"""
    found = {key: value.strip().strip("'\"") for key, value in ASSIGNMENT.findall(text)}
    if found.get("VLAN", "no") == "yes" or any(key in found for key in ("BONDING_OPTS", "TEAM_CONFIG")):
        return False
    name = found.get("DEVICE") or ("" if "HWADDR" in found else path.rpartition("/ifcfg-")[2])
    kind = found.get("TYPE", "Ethernet" if not name or PHYSICAL.fullmatch(name) else "")
    return kind.lower() == "ethernet" and name != "lo"


def _forget(root: Root, name: str, paths: Sequence[str]) -> None:
    for kind in COMPANIONS:
        path = f"{FOLDER}/{kind}-{name}"
        if path not in paths and root.is_file(path):
            root.remove(path)


def _global(text: str) -> str:
    """/etc/sysconfig/network: networking is on, and no gateway for all interfaces is in it"""
    lines = [line for line in text.splitlines(keepends=True) if not CONTRADICTING.match(line)]
    kept = "".join(line for line in lines if not re.match(r"\s*NETWORKING\s*=", line))
    if re.search(r"^[ \t]*NETWORKING[ \t]*=[ \t]*['\"]?yes", text, re.M):
        kept = "".join(lines)
    else:
        kept += f"{'' if kept.endswith(chr(10)) or not kept else chr(10)}NETWORKING=yes\n"
    return kept
