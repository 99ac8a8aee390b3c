"""Tags of Ganeti's networks that say how their NICs get addresses, with snf-image's meaning"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helper_agent.records import NamedTuple

DHCP = ("auto", "dhcp", "nfdhcpd")
STATEFUL = ("dhcpv6", "stateful_dhcpv6")
STATELESS = ("nfdhcpd", "stateless_dhcpv6")
"""DHCP_TAGS, STATEFUL_DHCPV6_TAGS and STATELESS_DHCPV6_TAGS as snf-image has them."""


class Tags(NamedTuple):
    """Which tags mean what"""

    dhcp: tuple[str, ...] = DHCP
    """An IPv4 address comes by DHCP."""
    stateful: tuple[str, ...] = STATEFUL
    """An IPv6 address comes by DHCPv6."""
    stateless: tuple[str, ...] = STATELESS
    """An IPv6 address comes by SLAAC, the rest by DHCPv6."""

    def dhcp4(self, tags: Sequence[str]) -> bool:
        """Whether `tags` of a network say DHCP"""
        return any(tag in self.dhcp for tag in tags)

    def ipv6(self, tags: Sequence[str]) -> str:
        """`Interface.ipv6` by `tags` of a network, of which the last counts; "auto" where none says it"""
        found = "auto"
        for tag in tags:
            if tag in self.stateful:
                found = "dhcp"
            if tag in self.stateless:
                found = "stateless"
        return found


def read(options: Mapping[str, object]) -> Tags:
    """By the options of the task `network`; unset ones are snf-image's"""
    given = {name: options.get(f"{name}_tags") for name in Tags._fields}
    return Tags(**{name: tuple(value) for name, value in given.items() if isinstance(value, (list, tuple))})
