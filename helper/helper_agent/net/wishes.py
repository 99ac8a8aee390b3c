"""What is wished of one NIC in words: the OS parameters nic0, nic1, ... and default_nic; both ends read them with this

    static 2001:db8::5/64 gateway6=fe80::1 mtu=9000

What is named is configured and nothing else; without a mode and without an address it is what Ganeti's NIC says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helper_agent.records import NamedTuple

COUNT = 8
"""NICs that have a parameter; Ganeti allows as many (constants.MAX_NICS)."""
NAMES = tuple(f"nic{index}" for index in range(COUNT))
"""The parameters, and the options of the task `network`."""
RENDERERS = (
    "netplan",
    "networkmanager",
    "networkd",
    "ifupdown",
    "ifcfg",
    "wicked",
    "alpine",
    "netifrc",
    "dhcpcd",
    "slackware",
)
"""Names of all network systems that can be told (`helper_agent.net.renderers`), wherever they are used."""
MTU = 68, 65535
"""RFC 791 section 3.2, and what a device's MTU can be at most in Linux (ETH_MAX_MTU)."""
MODES: Mapping[str, str] = {
    "dhcp": "IPv4 by DHCP",
    "static": "the NIC's own IP, with its network's subnet and gateway",
    "slaac": "IPv6 as routers advertise it",
    "dhcp6": "IPv6 by DHCPv6",
    "stateless": "IPv6 as routers advertise it, the rest by DHCPv6",
    "none": "nothing, the interface stays down",
    "ganeti": "what is done without this parameter",
}
OTHER_NAMES = {"dhcpv6": "dhcp6", "slaac_dhcp": "stateless", "dhcp4": "dhcp"}
"""snf-image's among them."""
IPV6 = {"slaac": "auto", "stateless": "stateless", "dhcp6": "dhcp"}
"""Mode -> `Interface.ipv6`; of several the last in this order."""
DEFAULT_MODES = ("dhcp", "slaac", "dhcp6", "stateless", "none")
"""What `default_nic` can be: there is no address for the others."""
FORM = f"give words such as: static 2001:db8::5/64 gateway6=fe80::1 mtu=9000; modes are {', '.join(MODES)}"


class WishError(ValueError):
    """Words that mean nothing: `why` follows the quoted value, `remedy` says what to give"""

    def __init__(self, why: str, remedy: str = FORM) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


class Wish(NamedTuple):
    """What is wished of one NIC"""

    modes: tuple[str, ...] = ("ganeti",)
    """Of `MODES`; addresses alone are static."""
    addresses: tuple[str, ...] = ()
    """In CIDR notation, in their canonical spelling."""
    gateways: tuple[str, ...] = ()
    """At most one of each family; "" for none where Ganeti has one."""
    families: tuple[int, ...] = ()
    """Of `gateways`, 4 or 6."""
    mtu: int = 0

    @property
    def ipv6(self) -> str:
        """`Interface.ipv6` by the modes"""
        return next((IPV6[mode] for mode in reversed(tuple(IPV6)) if mode in self.modes), "")

    def gateway(self, family: int, default: str) -> str:
        """The gateway of a family, `default` where nothing is wished"""
        return dict(zip(self.families, self.gateways, strict=True)).get(family, default)


def parse(text: str) -> Wish:
    """The words of nic0, nic1, ...

    Raises:
        WishError
    """
    modes: list[str] = []
    addresses: list[str] = []
    gateways: dict[int, str] = {}
    mtu = 0
    for word in text.replace(",", " ").split():
        key, equals, value = word.partition("=")
        if equals and key in ("gateway", "gateway6") and _family(key) not in gateways:
            gateways[_family(key)] = _gateway(value, _family(key))
        elif equals and key == "mtu" and not mtu:
            mtu = _mtu(value)
        elif equals:
            raise WishError(f"has {word[:40]!r}, which is not known, or there twice")
        elif "/" in word or _is_address(word):
            addresses.append(_address(word))
        else:
            modes.append(_mode(word, tuple(MODES)))
    if "none" in modes and len(text.split()) > 1:
        raise WishError("has something beside none", "give none alone, or leave it out")
    if "ganeti" in modes and len({*modes}) > 1:
        raise WishError("has a mode beside ganeti", "leave one of them out")
    modes = modes or (["static"] if addresses else ["ganeti"])
    unique = tuple(dict.fromkeys(modes)), tuple(dict.fromkeys(addresses))
    return Wish(*unique, tuple(gateways.values()), tuple(gateways), mtu)


def parse_default(text: str) -> Wish:
    """The words of default_nic, with blanks or snf-image's `+` between them

    Raises:
        WishError
    """
    modes = tuple(_mode(word, DEFAULT_MODES) for word in text.replace("+", " ").replace(",", " ").split())
    if not modes or ("none" in modes and len(modes) > 1):
        raise WishError("says nothing, or something beside none", f"give words of {', '.join(DEFAULT_MODES)}")
    return Wish(tuple(dict.fromkeys(modes)))


def _mode(word: str, known: tuple[str, ...]) -> str:
    mode = OTHER_NAMES.get(word.lower(), word.lower())
    if mode not in known:
        raise WishError(f"has {word[:40]!r}, which is not known", f"modes are {', '.join(known)}")
    return mode


def _family(key: str) -> int:
    return 6 if key.endswith("6") else 4


def _gateway(value: str, family: int) -> str:
    if value == "none":
        return ""
    address: Any = _ip(value)
    if address is None or address.version != family:
        raise WishError(f"has {value[:40]!r} as a gateway, which is no IPv{family} address")
    return str(address)


def _mtu(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 6 and MTU[0] <= int(value) <= MTU[1]):
        raise WishError(f"has {value[:40]!r} as MTU, which is not of {MTU[0]} to {MTU[1]}", "give for example mtu=9000")
    return int(value)


def _address(word: str) -> str:
    address, slash, length = word.partition("/")
    ip: Any = _ip(address)
    if ip is None:
        raise WishError(f"has {word[:60]!r}, which is no IP address", "give addresses such as 192.0.2.5/24")
    if not (slash and length.isascii() and length.isdigit() and len(length) < 4 and int(length) <= ip.max_prefixlen):
        raise WishError(f"has {word[:60]!r} without the length of its subnet", f"give for example {ip}/{_usual(ip)}")
    if ip.is_multicast or ip.is_unspecified or ip.is_loopback:
        raise WishError(f"has {word[:60]!r}, which no NIC can have", "give addresses such as 192.0.2.5/24")
    return f"{ip}/{int(length)}"


def _usual(ip: Any) -> int:
    return 24 if ip.version == 4 else 64


def _is_address(word: str) -> bool:
    return _ip(word) is not None


def _ip(text: str) -> Any:
    """An address of either family, None for what is none; zones (fe80::1%eth0) have no place here"""
    import ipaddress  # late: its import costs a hundredth of a second in an emulated guest

    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
