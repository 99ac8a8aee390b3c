"""What the instance's network should be, independent of how a system is told

Parsed once from Ganeti's NICs; each renderer turns it into one system's files (`helper_agent.net.renderers`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from helper_agent.api import TaskError
from helper_agent.protocol import Nic
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


def read(
    nics: Sequence[Nic], dns_servers: Sequence[str], dns_search: Sequence[str], warn: Callable[[str], None]
) -> State:
    """The state Ganeti's `nics` and the DNS options ask for

    A NIC is static when it has an IP and its Ganeti network has a subnet of that family, which says how long the prefix
    is. It has no address of the other family then, except what a router advertises.

    Args:
        warn: told about a NIC whose IP can't be used

    Raises:
        TaskError: E-OPTION for what is no address or domain
    """
    interfaces: list[Interface] = []
    gateways = {4: 0, 6: 0}
    for nic in nics:
        mac = nic.mac.lower()
        if not MAC.fullmatch(mac):
            raise TaskError(f"NIC {nic.index} has no valid MAC address", code="E-OPTION")
        address = _address(nic, gateways, warn)
        addresses = (address,) if address else ()
        ipv6 = "" if address and address.family == 6 else "auto"
        interfaces.append(Interface(f"nic{nic.index}", mac, addresses, dhcp4=not addresses, ipv6=ipv6))
    for domain in dns_search:
        if not re.fullmatch(DOMAIN, domain):
            raise TaskError(f"dns_search has {domain!r}, which is no domain", "list domain names", code="E-OPTION")
    servers = tuple(_parse(server, "dns_servers") for server in dns_servers)
    return State(tuple(interfaces), servers, tuple(dns_search))


def _address(nic: Nic, gateways: dict[int, int], warn: Callable[[str], None]) -> Address | None:
    if not nic.ip:
        return None
    import ipaddress  # late: its import costs a hundredth of a second in an emulated guest

    ip = ipaddress.ip_address(_parse(nic.ip, f"NIC {nic.index}"))
    network = nic.network
    subnet = "" if network is None else network.subnet if ip.version == 4 else network.subnet6
    if network is None or not subnet:
        warn(
            f"NIC {nic.index} has the address {ip}, but no network of Ganeti with an IPv{ip.version} subnet says what"
            " its netmask is: it is left to DHCP"
        )
        return None
    try:
        within = ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        raise TaskError(f"NIC {nic.index}'s network has {subnet!r}, which is no subnet", code="E-OPTION") from None
    if ip not in within:
        warn(f"NIC {nic.index} has the address {ip}, which is outside of its network's {within}")
    gateway = network.gateway if ip.version == 4 else network.gateway6
    metric = 0
    on_link = False
    if gateway:
        gateway = _parse(gateway, f"NIC {nic.index}'s gateway")
        reachable = ipaddress.ip_interface(f"{ip}/{within.prefixlen}").network
        on_link = ipaddress.ip_address(gateway) not in reachable
        if gateways[ip.version]:
            metric = METRICS[ip.version] + gateways[ip.version] * METRIC_STEP
        gateways[ip.version] += 1
    return Address(ip.version, str(ip), within.prefixlen, gateway, on_link, metric)


def _parse(text: str, what: str) -> str:
    """An IP address in its canonical spelling"""
    import ipaddress

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise TaskError(f"{what} has {text!r}, which is no IP address", code="E-OPTION") from None
