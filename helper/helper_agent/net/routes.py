"""What the renderers of older systems do with an interface's addresses alike"""

from __future__ import annotations

from collections.abc import Sequence

from helper_agent.net.state import Address, Interface


def of_family(interface: Interface, family: int) -> list[Address]:
    """The addresses of one family, the one with the gateway first"""
    return sorted((each for each in interface.addresses if each.family == family), key=lambda each: not each.gateway)


def way_out(interface: Interface, family: int) -> Address | None:
    """The address of one family that has the gateway"""
    return next((each for each in interface.addresses if each.family == family and each.gateway), None)


def link_local(gateway: str) -> bool:
    """Whether an IPv6 gateway is reached on every link, and has to be named with one"""
    return gateway.startswith(("fe8", "fe9", "fea", "feb"))


def needs_host_route(address: Address) -> bool:
    """Whether the way to its gateway has to be declared; `onlink` does it for IPv4, for IPv6 since Linux 4.16 only"""
    return address.on_link and not link_local(address.gateway)


def host(address: Address) -> str:
    """Its gateway as a route's destination"""
    return f"{address.gateway}/{32 if address.family == 4 else 128}"


def metric(address: Address) -> str:
    """For the end of `ip route add`"""
    return f" metric {address.metric}" if address.metric else ""


def commands(interface: Interface) -> Sequence[tuple[int, str]]:
    """Family and what follows `ip route add`, for its ways out in their order"""
    result: list[tuple[int, str]] = []
    for address in interface.addresses:
        if not address.gateway:
            continue
        if needs_host_route(address):
            result.append((address.family, f"{host(address)} dev {interface.name}{metric(address)}"))
        default = f"default via {address.gateway} dev {interface.name}{metric(address)}"
        result.append((address.family, default))
    return result


def netmask(prefix: int) -> str:
    """An IPv4 prefix's length as 255.255.255.0"""
    bits = (0xFFFFFFFF << (32 - prefix)) & 0xFFFFFFFF
    return ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0))
