"""What the instance's network should be, independent of how a system is told

Made once from Ganeti's NICs and the options of the task `network` (`helper_agent.net.nics`); each renderer turns it
into one system's files (`helper_agent.net.renderers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from helper_agent.api import TaskError
from helper_agent.job import Nic
from helper_agent.records import NamedTuple

HEADER = "# Written by ganeti-instance-helper when the instance was created\n"
"""First line of every file made from a state."""

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
DOMAIN = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?"
METRICS = {4: 0, 6: 1024}
"""The kernel's metric of a default route that is given none (IP6_RT_PRIO_USER in net/ip6_route.h)."""
METRIC_STEP = 100


class Address(NamedTuple):
    """A static address and its way out"""

    family: int
    """4 or 6."""
    address: str
    """Without its prefix."""
    prefix: int
    """Length, such as 24."""
    gateway: str
    """"" for none."""
    on_link: bool
    """The gateway is outside of the subnet: the route to it has to be declared."""
    metric: int
    """Of the default route; 0 for the system's default. The first NIC with a gateway wins, further ones are spares."""

    @property
    def cidr(self) -> str:
        """address/prefix"""
        return f"{self.address}/{self.prefix}"


class Interface(NamedTuple):
    """One NIC, found by its MAC address"""

    name: str
    """A name for configuration files: nic0, nic1, ..."""
    mac: str
    """As Ganeti has it."""
    addresses: tuple[Address, ...] = ()
    """Static ones, of both families."""
    dhcp4: bool = False
    """IPv4 by DHCP, beside what is static."""
    ipv6: str = ""
    """"auto": what routers advertise (SLAAC, and DHCPv6 where they say so); "dhcp": addresses by DHCPv6; "stateless":
    SLAAC, and DHCPv6 for the rest; "": static addresses alone, and advertisements are not accepted."""
    mtu: int = 0
    """Bytes; 0: the system's default."""

    @property
    def managed(self) -> bool:
        """Whether anything is configured; otherwise the interface stays down"""
        return bool(self.addresses or self.dhcp4 or self.ipv6)


class State(NamedTuple):
    """The whole network"""

    interfaces: tuple[Interface, ...]
    """One for each NIC, in their order."""
    dns_servers: tuple[str, ...]
    """Addresses of name servers."""
    dns_search: tuple[str, ...]
    """Domains in which short names are looked for."""

    @property
    def static(self) -> bool:
        """Whether any interface has an address of its own"""
        return any(interface.addresses for interface in self.interfaces)


def read(nics: Sequence[Nic], options: Mapping[str, Any], warn: Callable[[str], None]) -> State:
    """The state that Ganeti's `nics` and the options of the task `network` ask for

    Args:
        warn: told about a NIC whose IP can't be used

    Raises:
        TaskError: E-OPTION for what is no address or domain, or can't be
    """
    from helper_agent.net import nics as reading

    search = tuple(options.get("dns_search") or ())
    for domain in search:
        if not re.fullmatch(DOMAIN, domain):
            raise TaskError(f"dns_search has {domain!r}, which is no domain", "list domain names", code="E-OPTION")
    servers = tuple(address(server, "dns_servers") for server in options.get("dns_servers") or ())
    return State(ranked(reading.read(nics, options, warn)), servers, search)


def address(text: str, what: str) -> str:
    """An IP address in its canonical spelling

    Raises:
        TaskError: E-OPTION
    """
    import ipaddress  # late: its import costs a hundredth of a second in an emulated guest

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise TaskError(f"{what} has {text!r}, which is no IP address", code="E-OPTION") from None


def ranked(interfaces: Sequence[Interface]) -> tuple[Interface, ...]:
    """With metrics, by which the first gateway of a family wins and further ones are spares"""
    gateways = {4: 0, 6: 0}
    result = []
    for interface in interfaces:
        addresses = []
        for each in interface.addresses:
            metric = 0
            if each.gateway:
                metric = METRICS[each.family] + gateways[each.family] * METRIC_STEP if gateways[each.family] else 0
                gateways[each.family] += 1
            addresses.append(each._replace(metric=metric))
        result.append(interface._replace(addresses=tuple(addresses)))
    return tuple(result)
