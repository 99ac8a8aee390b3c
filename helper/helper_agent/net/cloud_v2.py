"""cloud-init's network-config, version 2: netplan's mapping, which cloud-init renders for the image's network system

https://cloudinit.readthedocs.io/en/latest/reference/network-config-format-v2.html. Interfaces are named, since older
versions write files for the entry's own name where there is no `set-name`.
"""

from __future__ import annotations

from typing import Any

from helper_agent.net.state import Address, Interface, State

ANYWHERE = {4: "0.0.0.0/0", 6: "::/0"}
"""`default` is a word of netplan 0.103 and later."""


def mapping(state: State, *, netplan: bool = True) -> dict[str, Any]:
    """What stands below `network`

    Args:
        netplan: whether netplan reads it. Otherwise cloud-init itself makes files of it, knows no on-link, and for
            ifupdown makes commands of net-tools out of routes, which Debian no longer installs: gateways are gateway4
            and gateway6 then, which netplan calls deprecated
    """
    managed = [each for each in state.interfaces if each.managed]
    return {"version": 2, "ethernets": {each.name: _ethernet(state, each, netplan) for each in managed}}


def _ethernet(state: State, interface: Interface, netplan: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"match": {"macaddress": interface.mac}, "set-name": interface.name}
    found["dhcp4"] = interface.dhcp4
    # netplan's systems ask by DHCPv6 when a router says so; ifupdown would wait for an answer in any case
    if interface.ipv6 in ("dhcp", "stateless") or (interface.ipv6 and netplan):
        found["dhcp6"] = True
    found["accept-ra"] = bool(interface.ipv6)
    if interface.mtu:
        found["mtu"] = interface.mtu
    if not interface.addresses:
        # The other interfaces' addresses are enough to be online; there may be no DHCP server here
        return {**found, "optional": True} if state.static else found
    found["addresses"] = [address.cidr for address in interface.addresses]
    routes = []
    for address in interface.addresses:
        key = f"gateway{address.family}"
        if address.gateway and not netplan and not address.metric and key not in found:
            found[key] = address.gateway
        elif address.gateway:
            routes.append(route(address, on_link=netplan))
    if routes:
        found["routes"] = routes
    servers = {"addresses": [*state.dns_servers], "search": [*state.dns_search]}
    if any(servers.values()):
        found["nameservers"] = {name: values for name, values in servers.items() if values}
    return found


def route(address: Address, *, on_link: bool = True) -> dict[str, Any]:
    """The way out of an address

    Args:
        on_link: whether it may be said that the gateway is outside of the subnet
    """
    found: dict[str, Any] = {"to": ANYWHERE[address.family], "via": address.gateway}
    if address.on_link and on_link:
        found["on-link"] = True
    if address.metric:
        found["metric"] = address.metric
    return found
