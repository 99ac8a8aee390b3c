"""Network states the renderers' tests share"""

from __future__ import annotations

from helper_agent.net.state import Address, Interface, State, ranked

V4 = Address(4, "192.0.2.10", 24, "192.0.2.1", False, 0)
V6 = Address(6, "2001:db8::10", 64, "2001:db8::1", False, 0)
STATIC = Interface("nic0", "02:00:00:00:00:01", (V4,), ipv6="auto")
SPARE = Interface("nic1", "02:00:00:00:00:02", (Address(4, "198.51.100.7", 32, "203.0.113.1", True, 100),), ipv6="auto")
IPV6 = Interface("nic2", "02:00:00:00:00:03", (Address(6, "2001:db8::10", 64, "fe80::1", True, 0),))
DHCP = Interface("nic3", "02:00:00:00:00:04", (), dhcp4=True, ipv6="auto")
ALL = State((STATIC, SPARE, IPV6, DHCP), ("192.0.2.53", "2001:db8::53"), ("example.org", "lab"))
"""What Ganeti's data alone can lead to."""

MAC = "02:00:00:00:00:01"
KINDS = {
    "static": Interface("nic0", MAC, (V4,)),
    "static-auto": Interface("nic0", MAC, (V4,), ipv6="auto"),
    "no-gateway": Interface("nic0", MAC, (V4._replace(gateway=""),)),
    "static6": Interface("nic0", MAC, (V6,)),
    "link-local-gateway": Interface("nic0", MAC, (V6._replace(gateway="fe80::1", on_link=True),)),
    "dual": Interface("nic0", MAC, (V4, V6)),
    "several": Interface(
        "nic0",
        MAC,
        (V4, Address(4, "198.51.100.9", 25, "", False, 0), V6, Address(6, "2001:db8:1::9", 48, "", False, 0)),
    ),
    "on-link": Interface("nic0", MAC, (V4._replace(gateway="203.0.113.1", on_link=True),)),
    "on-link6": Interface("nic0", MAC, (V6._replace(gateway="2001:db8:ffff::1", on_link=True),)),
    "host-routes": Interface(
        "nic0", MAC, (V4._replace(prefix=32, on_link=True), V6._replace(prefix=128, on_link=True))
    ),
    "mtu": Interface("nic0", MAC, (V4,), mtu=1400),
    "dhcp": Interface("nic0", MAC, (), dhcp4=True),
    "dhcp-auto": Interface("nic0", MAC, (), dhcp4=True, ipv6="auto"),
    "dhcp-mtu": Interface("nic0", MAC, (), dhcp4=True, mtu=1400),
    "dhcp6": Interface("nic0", MAC, (), ipv6="dhcp"),
    "stateless": Interface("nic0", MAC, (), ipv6="stateless"),
    "slaac": Interface("nic0", MAC, (), ipv6="auto"),
    "dhcp-both": Interface("nic0", MAC, (), dhcp4=True, ipv6="dhcp"),
    "static-dhcp6": Interface("nic0", MAC, (V4,), ipv6="dhcp"),
    "static6-dhcp": Interface("nic0", MAC, (V6,), dhcp4=True),
    "static-and-dhcp": Interface("nic0", MAC, (V4._replace(gateway=""),), dhcp4=True),
    "static6-slaac": Interface("nic0", MAC, (V6,), ipv6="auto"),
    "none": Interface("nic0", MAC),
}
"""One interface of each kind that there can be."""


def everything() -> State:
    """All `KINDS` at once, each on a wire of its own: `live` has a router there that offers all it can"""
    interfaces = [_on_wire(index, each) for index, each in enumerate(KINDS.values())]
    return State(ranked(interfaces), ("192.0.2.53", "2001:db8::53"), ("example.org", "lab"))


def _on_wire(wire: int, interface: Interface) -> Interface:
    """`interface` as NIC number `wire`, with addresses of that wire"""
    addresses = []
    for each in interface.addresses:
        host, gateway = (
            text.replace("192.0.2.", f"10.20.{wire}.").replace("2001:db8::", f"2001:db8:20:{wire:x}::")
            for text in (each.address, each.gateway)
        )
        host = host.replace("198.51.100.", f"10.21.{wire}.").replace("2001:db8:1::", f"2001:db8:21:{wire:x}::")
        gateway = gateway.replace("203.0.113.", f"10.22.{wire}.").replace("2001:db8:ffff::", f"2001:db8:22:{wire:x}::")
        prefix = 64 if each.prefix == 48 else each.prefix
        addresses.append(each._replace(address=host, gateway=gateway, prefix=prefix))
    return interface._replace(name=f"nic{wire}", mac=f"02:00:00:00:01:{wire:02x}", addresses=tuple(addresses))
