"""From Ganeti's NICs, its networks' tags and what is wished in words to interfaces"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from helper_agent.api import TaskError
from helper_agent.job import Network, Nic
from helper_agent.net import tags, wishes
from helper_agent.net.state import MAC, Address, Interface, address
from helper_agent.net.wishes import Wish, WishError

NOWHERE = Network("", "", "", "", "", ())
"""Of a NIC that Ganeti knows no network of."""
Warn = Callable[[str], None]


def read(nics: Sequence[Nic], options: Mapping[str, Any], warn: Warn) -> list[Interface]:
    """An interface for each NIC, in their order

    A NIC is static when it has an IP and its Ganeti network has a subnet of that family, which says how long the prefix
    is, and no tag that says DHCP. It has no address of the other family then, except what a router advertises.

    Raises:
        TaskError: E-OPTION
    """
    meaning = tags.read(options)
    interfaces = []
    for nic in nics:
        if not MAC.fullmatch(nic.mac.lower()):
            raise TaskError(f"NIC {nic.index} has no valid MAC address", code="E-OPTION")
        wish = _wish(f"nic{nic.index}", options, wishes.parse)
        if wish is None and len(nics) == 1 and not nic.ip and not (nic.network or NOWHERE).gateway6:
            wish = _wish("default_nic", options, wishes.parse_default)
        interfaces.append(_interface(nic, wish or Wish(), meaning, warn))
    there = {f"nic{nic.index}" for nic in nics}
    for name in wishes.NAMES:
        if options.get(name) and name not in there:
            warn(f"{name} is set, but the instance has no such NIC")
    return interfaces


def _wish(name: str, options: Mapping[str, Any], parse: Callable[[str], Wish]) -> Wish | None:
    text = str(options.get(name) or "").strip()
    try:
        return parse(text) if text else None
    except WishError as error:
        raise TaskError(f"{name}: {text!r} {error.why}", error.remedy, code="E-OPTION") from None


def _interface(nic: Nic, wish: Wish, meaning: tags.Tags, warn: Warn) -> Interface:
    bare = Interface(f"nic{nic.index}", nic.mac.lower(), mtu=wish.mtu)
    if "ganeti" in wish.modes:
        found = _ganeti(bare, nic, meaning, warn)
    else:
        found = bare._replace(
            addresses=_wished_static(nic, wish, warn) if "static" in wish.modes else (),
            dhcp4="dhcp" in wish.modes,
            ipv6=wish.ipv6,
        )
    addresses = list(found.addresses)
    for cidr in wish.addresses:
        ip, _, prefix = cidr.partition("/")
        if all(ip != each.address for each in addresses):
            addresses.append(Address(6 if ":" in ip else 4, ip, int(prefix), "", False, 0))
    return found._replace(addresses=tuple(_with_gateways(nic, addresses, wish)))


def _ganeti(bare: Interface, nic: Nic, meaning: tags.Tags, warn: Warn) -> Interface:
    """What Ganeti's data alone mean"""
    network = nic.network or NOWHERE
    ipv6 = meaning.ipv6(network.tags) if network.subnet6 or network.gateway6 else "auto"
    if not nic.ip:
        return bare._replace(dhcp4=True, ipv6=ipv6)
    if ":" in nic.ip and ipv6 == "dhcp":
        return bare._replace(ipv6=ipv6)
    if ":" not in nic.ip and network.subnet and meaning.dhcp4(network.tags):
        address(nic.ip, f"NIC {nic.index}")
        return bare._replace(dhcp4=True, ipv6=ipv6)
    static = _static(nic, warn)
    if static is None:
        version = 6 if ":" in address(nic.ip, f"NIC {nic.index}") else 4
        warn(
            f"NIC {nic.index} has the address {nic.ip}, but no network of Ganeti with an IPv{version} subnet says what"
            " its netmask is: it is left to DHCP"
        )
        return bare._replace(dhcp4=True, ipv6=ipv6)
    return bare._replace(addresses=(static,), ipv6=ipv6 if static.family == 4 else "")


def _wished_static(nic: Nic, wish: Wish, warn: Warn) -> tuple[Address, ...]:
    """The NIC's own address for the mode `static`"""
    given = [cidr.partition("/")[0] for cidr in wish.addresses]
    if nic.ip and address(nic.ip, f"NIC {nic.index}") not in given and (static := _static(nic, warn)):
        return (static,)
    if not given:
        lacking = "no IP" if not nic.ip else f"the address {nic.ip}, and no Ganeti network with its subnet"
        raise TaskError(
            f"nic{nic.index} is to be static, but Ganeti's NIC has {lacking}",
            f"give it an IP and a network (gnt-instance modify --net), or name an address: nic{nic.index}=192.0.2.5/24",
            code="E-OPTION",
        )
    return ()


def _static(nic: Nic, warn: Warn) -> Address | None:
    """The NIC's IP with its network's prefix, None where no network says it"""
    import ipaddress

    ip = ipaddress.ip_address(address(nic.ip, f"NIC {nic.index}"))
    network = nic.network or NOWHERE
    subnet = network.subnet if ip.version == 4 else network.subnet6
    if not subnet:
        return None
    within = _subnet(nic, subnet)
    if ip not in within:
        warn(f"NIC {nic.index} has the address {ip}, which is outside of its network's {within}")
    gateway = network.gateway if ip.version == 4 else network.gateway6
    if gateway:
        gateway = address(gateway, f"NIC {nic.index}'s gateway")
    return Address(ip.version, str(ip), within.prefixlen, gateway, False, 0)


def _subnet(nic: Nic, subnet: str) -> Any:
    import ipaddress

    try:
        return ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        raise TaskError(f"NIC {nic.index}'s network has {subnet!r}, which is no subnet", code="E-OPTION") from None


def _with_gateways(nic: Nic, addresses: Sequence[Address], wish: Wish) -> list[Address]:
    """One way out for each family, at the first address in whose subnet it is, else at the first"""
    import ipaddress

    result = list(addresses)
    for family in (4, 6):
        own = [index for index, each in enumerate(result) if each.family == family]
        gateway = wish.gateway(family, _network_gateway(nic, [result[index] for index in own], family))
        if gateway and not own:
            raise TaskError(
                f"nic{nic.index} has a gateway for IPv{family}, but no fixed address of that family",
                "name an address, or leave the gateway out: DHCP and routers tell it",
                code="E-OPTION",
            )
        if not own:
            continue
        for index in own:
            result[index] = result[index]._replace(gateway="", on_link=False)
        if gateway:
            way, reach = ipaddress.ip_address(gateway), [ipaddress.ip_interface(result[index].cidr) for index in own]
            within = [way in each.network and way != each.ip for each in reach]
            at = own[within.index(True) if True in within else 0]
            result[at] = result[at]._replace(gateway=gateway, on_link=True not in within)
    return result


def _network_gateway(nic: Nic, addresses: Sequence[Address], family: int) -> str:
    """The gateway of Ganeti's network, for the NIC's own address or a further one in its subnet"""
    import ipaddress

    own = next((each.gateway for each in addresses if each.gateway), "")
    network = nic.network or NOWHERE
    gateway, subnet = (network.gateway, network.subnet) if family == 4 else (network.gateway6, network.subnet6)
    if own or not gateway or not subnet or not addresses:
        return own
    within = _subnet(nic, subnet)
    inside = any(ipaddress.ip_address(each.address) in within for each in addresses)
    return address(gateway, f"NIC {nic.index}'s gateway") if inside else ""
