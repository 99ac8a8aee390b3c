from __future__ import annotations

import pytest

from helper_agent.api import TaskError
from helper_agent.job import Network, Nic
from helper_agent.net import state

V4 = Network("lab", "192.0.2.0/24", "192.0.2.1", "", "", ())
DUAL = Network("dual", "192.0.2.0/24", "192.0.2.1", "2001:db8::/64", "fe80::1", ())
MAC = "AA:00:00:11:22:33"


def read(*nics: Nic, servers: tuple[str, ...] = (), search: tuple[str, ...] = ()) -> tuple[state.State, list[str]]:
    warnings: list[str] = []
    return state.read(nics, {"dns_servers": servers, "dns_search": search}, warnings.append), warnings


def one(ip: str, network: Network | None) -> state.Address:
    found, warnings = read(Nic(0, MAC, ip, "bridged", network))
    assert warnings == []
    return found.interfaces[0].addresses[0]


def test_static() -> None:
    found, _ = read(Nic(0, MAC, "192.0.2.10", "bridged", V4))
    address = state.Address(4, "192.0.2.10", 24, "192.0.2.1", False, 0)
    assert found == state.State((state.Interface("nic0", MAC.lower(), (address,), ipv6="auto"),), (), ())
    assert found.static


def test_an_ipv6_address_takes_the_networks_ipv6_side() -> None:
    assert one("2001:db8:0::10", DUAL) == state.Address(6, "2001:db8::10", 64, "fe80::1", True, 0)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (V4._replace(gateway=""), ("192.0.2.10/24", "", False)),
        (V4._replace(gateway="198.51.100.1"), ("192.0.2.10/24", "198.51.100.1", True)),
        (V4._replace(subnet="192.0.2.10/32"), ("192.0.2.10/32", "192.0.2.1", True)),
        (V4._replace(subnet="192.0.2.10/24"), ("192.0.2.10/24", "192.0.2.1", False)),
    ],
)
def test_gateways(network: Network, expected: tuple[str, str, bool]) -> None:
    address = one("192.0.2.10", network)
    assert (address.cidr, address.gateway, address.on_link) == expected


def test_the_first_gateway_wins_the_others_are_spares() -> None:
    found, _ = read(
        Nic(0, MAC, "192.0.2.10", "bridged", V4._replace(gateway="")),
        Nic(1, MAC, "192.0.2.11", "bridged", V4),
        Nic(2, MAC, "192.0.2.12", "bridged", V4),
        Nic(3, MAC, "2001:db8::1", "bridged", DUAL),
        Nic(4, MAC, "2001:db8::2", "bridged", DUAL),
    )
    assert [each.addresses[0].metric for each in found.interfaces] == [0, 0, 100, 0, 1124]


@pytest.mark.parametrize("network", [None, V4])
def test_no_ip_is_dhcp(network: Network | None) -> None:
    found, warnings = read(Nic(0, MAC, "", "bridged", network))
    assert found.interfaces[0].addresses == ()
    assert not found.static
    assert warnings == []


@pytest.mark.parametrize(
    ("ip", "network"), [("192.0.2.10", None), ("2001:db8::1", V4), ("10.0.0.1", Network("x", "", "", "", "", ()))]
)
def test_an_ip_without_a_subnet_is_dhcp_with_a_warning(ip: str, network: Network | None) -> None:
    found, warnings = read(Nic(3, MAC, ip, "routed", network))
    assert found.interfaces[0].addresses == ()
    assert "NIC 3" in warnings[0]
    assert "DHCP" in warnings[0]


def test_an_ip_outside_of_its_subnet_is_warned_of() -> None:
    found, warnings = read(Nic(0, MAC, "198.51.100.7", "bridged", V4))
    address = found.interfaces[0].addresses[0]
    assert (address.cidr, address.on_link) == ("198.51.100.7/24", True)
    assert "outside" in warnings[0]


@pytest.mark.parametrize(
    ("nic", "servers", "search"),
    [
        (Nic(0, "aa:00:00:11:22", "", "", None), (), ()),
        (Nic(0, MAC + "\nup touch /x", "", "", None), (), ()),
        (Nic(0, MAC, "192.0.2.10\n up id", "", V4), (), ()),
        (Nic(0, MAC, "192.0.2.10", "", V4._replace(subnet="x")), (), ()),
        (Nic(0, MAC, "192.0.2.10", "", V4._replace(gateway="x")), (), ()),
        (Nic(0, MAC, "", "", None), ("dns.example.org",), ()),
        (Nic(0, MAC, "", "", None), (), ("a b",)),
        (Nic(0, MAC, "", "", None), (), ("a\nnameserver x",)),
        (Nic(0, MAC, "", "", None), (), ("",)),
    ],
)
def test_what_is_no_address_or_domain(nic: Nic, servers: tuple[str, ...], search: tuple[str, ...]) -> None:
    with pytest.raises(TaskError) as caught:
        read(nic, servers=servers, search=search)
    assert caught.value.code == "E-OPTION"


def test_dns() -> None:
    found, _ = read(servers=("192.0.2.53", "2001:DB8::53"), search=("example.org", "lab"))
    assert found == state.State((), ("192.0.2.53", "2001:db8::53"), ("example.org", "lab"))
