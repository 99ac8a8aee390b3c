from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helper_agent.net import wishes
from helper_agent.net.wishes import Wish, WishError


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("dhcp", Wish(("dhcp",))),
        ("DHCP Slaac", Wish(("dhcp", "slaac"))),
        ("dhcp,slaac", Wish(("dhcp", "slaac"))),
        ("dhcp4 dhcpv6", Wish(("dhcp", "dhcp6"))),
        ("slaac_dhcp", Wish(("stateless",))),
        ("none", Wish(("none",))),
        ("ganeti", Wish()),
        ("ganeti mtu=9000", Wish(mtu=9000)),
        ("mtu=9000", Wish(mtu=9000)),
        ("gateway=192.0.2.9", Wish(gateways=("192.0.2.9",), families=(4,))),
        ("static gateway=none", Wish(("static",), gateways=("",), families=(4,))),
        ("2001:DB8:0::5/64", Wish(("static",), ("2001:db8::5/64",))),
        ("ganeti 2001:db8::5/64", Wish(("ganeti",), ("2001:db8::5/64",))),
        (
            "static 2001:db8::5/64 192.0.2.5/32 gateway6=fe80::1 gateway=192.0.2.1 mtu=9000",
            Wish(("static",), ("2001:db8::5/64", "192.0.2.5/32"), ("fe80::1", "192.0.2.1"), (6, 4), 9000),
        ),
        ("dhcp dhcp 192.0.2.5/24 192.0.2.5/24", Wish(("dhcp",), ("192.0.2.5/24",))),
    ],
)
def test_words(text: str, wish: Wish) -> None:
    assert wishes.parse(text) == wish


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("dhpc", "dhpc"),
        ("none dhcp", "none"),
        ("none mtu=1400", "none"),
        ("ganeti dhcp", "ganeti"),
        ("192.0.2.5", "length of its subnet"),
        ("192.0.2.5/33", "length of its subnet"),
        ("192.0.2.5/", "length of its subnet"),
        ("192.0.2.5/255.255.255.0", "length of its subnet"),
        ("192.0.2.500/24", "no IP address"),
        ("ff02::1/64", "which no NIC can have"),
        ("127.0.0.1/8", "which no NIC can have"),
        ("::/64", "which no NIC can have"),
        ("fe80::1%eth0/64", "no IP address"),
        ("gateway=fe80::1", "IPv4"),
        ("gateway6=192.0.2.1", "IPv6"),
        ("gateway=", "IPv4"),
        ("gateway=192.0.2.1 gateway=192.0.2.2", "twice"),
        ("mtu=67", "MTU"),
        ("mtu=65536", "MTU"),
        ("mtu=1e3", "MTU"),
        ("mtu=1400 mtu=1500", "twice"),
        ("vlan=5", "vlan=5"),
    ],
)
def test_what_means_nothing(text: str, part: str) -> None:
    with pytest.raises(WishError) as caught:
        wishes.parse(text)
    assert part in caught.value.why
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("modes", "ipv6"),
    [("dhcp", ""), ("slaac", "auto"), ("stateless", "stateless"), ("dhcp6", "dhcp"), ("slaac dhcp6", "dhcp")],
)
def test_the_kind_of_ipv6(modes: str, ipv6: str) -> None:
    assert wishes.parse(modes).ipv6 == ipv6


@pytest.mark.parametrize(
    "text",
    ["dhcp", "dhcpv6", "slaac", "slaac_dhcp", "dhcp+dhcpv6", "dhcp+slaac", "dhcp+slaac_dhcp", "dhcp slaac", "none"],
)
def test_default_nic_takes_all_that_snf_image_takes(text: str) -> None:
    assert wishes.parse_default(text).modes


@pytest.mark.parametrize("text", ["static", "ganeti", "192.0.2.1/24", "none dhcp", "+", "mtu=9000"])
def test_what_default_nic_cannot_be(text: str) -> None:
    with pytest.raises(WishError):
        wishes.parse_default(text)


@settings(deadline=None)
@given(st.text())
def test_nothing_else_is_raised(text: str) -> None:
    for parse in (wishes.parse, wishes.parse_default):
        try:
            parse(text)
        except WishError:
            pass
