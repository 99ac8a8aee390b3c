"""Ganeti's NICs, its networks' tags and what is wished of a NIC, all together"""

from __future__ import annotations

from typing import Any

import pytest

from helper_agent.api import TaskError
from helper_agent.job import Network, Nic
from helper_agent.net import state, tags
from helper_agent.net.state import Address, Interface

MAC = "aa:00:00:11:22:33"
V4 = Network("lab", "192.0.2.0/24", "192.0.2.1", "", "", ())
DUAL = Network("dual", "192.0.2.0/24", "192.0.2.1", "2001:db8::/64", "fe80::1", ())
OWN = Address(4, "192.0.2.10", 24, "192.0.2.1", False, 0)
EXTRA = Address(6, "2001:db8::5", 64, "fe80::1", True, 0)


def read(ip: str, network: Network | None, **options: Any) -> Interface:
    found = state.read([Nic(0, MAC, ip, "bridged", network)], options, lambda text: None)
    return found.interfaces[0]


def tagged(*names: str, network: Network = DUAL) -> Network:
    return network._replace(tags=names)


@pytest.mark.parametrize(
    ("names", "dhcp4", "ipv6"),
    [
        ((), False, "auto"),
        (("auto",), True, "auto"),
        (("dhcp",), True, "auto"),
        (("nfdhcpd",), True, "stateless"),
        (("dhcpv6",), False, "dhcp"),
        (("stateful_dhcpv6",), False, "dhcp"),
        (("stateless_dhcpv6",), False, "stateless"),
        (("dhcp", "dhcpv6"), True, "dhcp"),
        (("nfdhcpd", "dhcpv6"), True, "dhcp"),
        (("dhcpv6", "nfdhcpd"), True, "stateless"),
        (("something", "else"), False, "auto"),
    ],
)
def test_snf_images_tags(names: tuple[str, ...], dhcp4: bool, ipv6: str) -> None:
    found = read("192.0.2.10", tagged(*names))
    assert (found.dhcp4, found.ipv6) == (dhcp4, ipv6)
    assert found.addresses == (() if dhcp4 else (OWN,))


def test_tags_of_ones_own() -> None:
    found = read("192.0.2.10", tagged("lease", "dhcp"), dhcp_tags=["lease"], stateful_tags=["dhcp"])
    assert (found.dhcp4, found.ipv6) == (True, "dhcp")
    assert read("192.0.2.10", tagged("dhcp"), dhcp_tags=[]).addresses == (OWN,)
    assert tags.read({"dhcp_tags": None}) == tags.Tags()


def test_tags_of_ipv6_count_where_the_network_has_it() -> None:
    assert read("192.0.2.10", tagged("dhcpv6", network=V4)).ipv6 == "auto"


def test_an_ipv6_address_by_dhcpv6() -> None:
    found = read("2001:db8::10", tagged("dhcpv6"))
    assert found == Interface("nic0", MAC, ipv6="dhcp")


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("dhcp", Interface("nic0", MAC, dhcp4=True)),
        ("dhcp slaac", Interface("nic0", MAC, dhcp4=True, ipv6="auto")),
        ("slaac", Interface("nic0", MAC, ipv6="auto")),
        ("dhcp6", Interface("nic0", MAC, ipv6="dhcp")),
        ("none", Interface("nic0", MAC)),
        ("static", Interface("nic0", MAC, (OWN,))),
        ("static slaac", Interface("nic0", MAC, (OWN,), ipv6="auto")),
        ("static dhcp", Interface("nic0", MAC, (OWN,), dhcp4=True)),
        ("ganeti", Interface("nic0", MAC, (OWN,), ipv6="auto")),
        ("mtu=9000", Interface("nic0", MAC, (OWN,), ipv6="auto", mtu=9000)),
        ("2001:db8::5/64", Interface("nic0", MAC, (OWN, EXTRA))),
        ("ganeti 2001:db8::5/64", Interface("nic0", MAC, (OWN, EXTRA), ipv6="auto")),
        ("dhcp 2001:db8::5/64", Interface("nic0", MAC, (EXTRA,), dhcp4=True)),
        ("dhcp 2001:db8:1::5/64", Interface("nic0", MAC, (Address(6, "2001:db8:1::5", 64, "", False, 0),), True)),
        ("static gateway=none", Interface("nic0", MAC, (OWN._replace(gateway=""),))),
        ("static gateway=192.0.2.254", Interface("nic0", MAC, (OWN._replace(gateway="192.0.2.254"),))),
        ("192.0.2.10/32", Interface("nic0", MAC, (Address(4, "192.0.2.10", 32, "192.0.2.1", True, 0),))),
        (
            "198.51.100.5/24 gateway=198.51.100.1",
            Interface(
                "nic0", MAC, (OWN._replace(gateway=""), Address(4, "198.51.100.5", 24, "198.51.100.1", False, 0))
            ),
        ),
        (
            "static 2001:db8::5/64 gateway6=2001:db8::1 mtu=9000",
            Interface("nic0", MAC, (OWN, EXTRA._replace(gateway="2001:db8::1", on_link=False)), mtu=9000),
        ),
    ],
)
def test_wishes(wish: str, expected: Interface) -> None:
    assert read("192.0.2.10", DUAL, nic0=wish) == expected


def test_static_without_an_ip_of_ganetis() -> None:
    for network in (None, V4):
        with pytest.raises(TaskError, match=r"nic0 is to be static.*no IP") as caught:
            read("", network, nic0="static")
        assert caught.value.code == "E-OPTION"
        assert "nic0=192.0.2.5/24" in caught.value.remedy
    with pytest.raises(TaskError, match=r"192\.0\.2\.10, and no Ganeti network"):
        read("192.0.2.10", None, nic0="static")
    assert read("192.0.2.10", None, nic0="static 192.0.2.10/24").addresses[0].cidr == "192.0.2.10/24"
    assert read("", None, nic0="static 192.0.2.10/24 gateway=192.0.2.1").addresses == (OWN,)


@pytest.mark.parametrize("wish", ["dhcp gateway=192.0.2.1", "static gateway6=fe80::1", "slaac gateway6=fe80::1"])
def test_a_gateway_without_an_address(wish: str) -> None:
    with pytest.raises(TaskError, match="gateway"):
        read("192.0.2.10", V4, nic0=wish)


def test_words_that_mean_nothing_are_quoted() -> None:
    with pytest.raises(TaskError, match="nic0: 'dhpc'") as caught:
        read("", None, nic0="dhpc")
    assert caught.value.code == "E-OPTION"


@pytest.mark.parametrize(
    ("value", "dhcp4", "ipv6"),
    [
        ("", True, "auto"),
        ("dhcp", True, ""),
        ("dhcp+slaac", True, "auto"),
        ("dhcp+slaac_dhcp", True, "stateless"),
        ("dhcpv6", False, "dhcp"),
        ("none", False, ""),
    ],
)
def test_default_nic(value: str, dhcp4: bool, ipv6: str) -> None:
    for network in (None, V4):
        found = read("", network, default_nic=value)
        assert (found.dhcp4, found.ipv6, found.addresses) == (dhcp4, ipv6, ())


def test_default_nic_is_for_a_lone_one_without_data() -> None:
    lone = Nic(0, MAC, "", "bridged", None)
    pair = state.read([lone, lone._replace(index=1)], {"default_nic": "none"}, lambda text: None)
    assert all(each.managed for each in pair.interfaces)
    assert read("192.0.2.10", V4, default_nic="none").addresses == (OWN,)
    assert read("", DUAL, default_nic="none").managed
    assert read("", None, default_nic="none", nic0="dhcp").dhcp4


def test_a_wish_for_a_nic_that_is_not_there_is_warned_of() -> None:
    warnings: list[str] = []
    state.read([Nic(0, MAC, "", "", None)], {"nic1": "dhcp"}, warnings.append)
    assert warnings == ["nic1 is set, but the instance has no such NIC"]


def test_several_addresses_have_one_way_out_each_family() -> None:
    found = read("192.0.2.10", DUAL, nic0="ganeti 192.0.2.11/24 2001:db8::5/64 2001:db8::6/64")
    assert [each.gateway for each in found.addresses] == ["192.0.2.1", "", "fe80::1", ""]
