"""cloud-init's network-config, version 1: the older form, which every version of cloud-init reads

https://cloudinit.readthedocs.io/en/latest/reference/network-config-format-v1.html. It can't say that a gateway is
outside of the subnet; ifupdown and NetworkManager find that out by themselves.
"""

from __future__ import annotations

from typing import Any

from helper_agent.net.state import Address, Interface, State

ANYWHERE = {4: ("0.0.0.0", "0.0.0.0"), 6: ("::", "::")}  # noqa: S104  no address to bind to
"""Network and netmask of a default route."""
IPV6 = {"dhcp": "ipv6_dhcpv6-stateful", "stateless": "ipv6_dhcpv6-stateless"}
"""`Interface.ipv6` -> the subnet's type; what routers advertise is the kernel's business and needs none."""


def mapping(state: State) -> dict[str, Any]:
    """What stands below `network`"""
    config = [_physical(state, each) for each in state.interfaces if each.managed]
    return {"version": 1, "config": config}


def _physical(state: State, interface: Interface) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "physical", "name": interface.name, "mac_address": interface.mac}
    if interface.mtu:
        found["mtu"] = interface.mtu
    found["accept-ra"] = bool(interface.ipv6)
    subnets = [_static(state, address) for address in interface.addresses]
    if interface.dhcp4:
        subnets.append({"type": "dhcp4"})
    if interface.ipv6 in IPV6:
        subnets.append({"type": IPV6[interface.ipv6]})
    return {**found, "subnets": subnets}


def _static(state: State, address: Address) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "static" if address.family == 4 else "static6", "address": address.cidr}
    if address.gateway and address.metric:
        network, netmask = ANYWHERE[address.family]
        route = {"network": network, "netmask": netmask, "gateway": address.gateway, "metric": address.metric}
        found["routes"] = [route]
    elif address.gateway:
        found["gateway"] = address.gateway
    if state.dns_servers:
        found["dns_nameservers"] = [*state.dns_servers]
    if state.dns_search:
        found["dns_search"] = [*state.dns_search]
    return found
