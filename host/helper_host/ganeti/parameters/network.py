"""The network"""

from __future__ import annotations

from helper_host.ganeti import network_values, values
from helper_host.ganeti.parameters.row import Parameter, Rows


def _nic(index: int) -> Parameter[str]:
    """The row of one NIC"""
    return Parameter(
        network_values.nic,
        "",
        f"NIC {index}, instead of what Ganeti's data say: dhcp, static, slaac, dhcp6, stateless or none, addresses in"
        " CIDR notation, gateway=, gateway6=, mtu=",
        example="static 2001:db8::5/64 gateway6=fe80::1 mtu=9000",
        shown="by its IP, network and tags",
        option=f"network.nic{index}",
    )


class NetworkRows(Rows):
    """The network"""

    nic0, nic1, nic2, nic3, nic4, nic5, nic6, nic7 = map(_nic, range(8))
    default_nic = Parameter(
        network_values.default_nic,
        "",
        "A lone NIC without IP, whose network has no IPv6 gateway: none, or dhcp, slaac, dhcp6, stateless, several with"
        " + between",
        example="dhcp+slaac",
        shown="dhcp, and IPv6 as routers advertise it",
        option="network.default_nic",
    )
    network_renderer = Parameter(
        network_values.renderer,
        "",
        "Network system of the image that is told, such as netplan, networkd, networkmanager or ifupdown",
        example="networkd",
        shown="the one that the image runs",
        option="network.renderer",
    )
    dns_servers = Parameter[tuple[str, ...]](
        values.addresses,
        (),
        "Addresses of DNS servers; with DHCP they are added to what that says",
        example="192.0.2.53 2001:db8::53",
        shown="none",
        option="network.dns_servers",
    )
    dns_search = Parameter[tuple[str, ...]](
        values.domains,
        (),
        "Domains in which short names are looked for",
        example="example.org",
        shown="none",
        option="network.dns_search",
    )
