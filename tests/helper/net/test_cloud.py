"""cloud-init's network-config; the real cloud-init renders both versions in tests/vm/test_cloud_init.py"""

from __future__ import annotations

from typing import Any

from helper_agent.net import cloud_v1, cloud_v2
from helper_agent.net.state import Address, Interface, State

MACS = [f"02:00:00:00:00:0{number}" for number in range(4)]
STATIC = Interface(
    "nic0", MACS[0], (Address(4, "192.0.2.10", 24, "192.0.2.1", False, 0), Address(6, "2001:db8::10", 64, "", False, 0))
)
SPARE = Interface("nic1", MACS[1], (Address(4, "198.51.100.7", 32, "203.0.113.1", True, 100),), mtu=9000)
IPV6 = Interface("nic2", MACS[2], (Address(6, "2001:db8:1::10", 128, "fe80::1", True, 0),), ipv6="auto")
DHCP = Interface("nic3", MACS[3], (), dhcp4=True, ipv6="dhcp")
DOWN = Interface("nic4", "02:00:00:00:00:05")
STATE = State((STATIC, SPARE, IPV6, DHCP, DOWN), ("192.0.2.53",), ("example.org",))
SERVERS = {"addresses": ["192.0.2.53"], "search": ["example.org"]}


def ethernet(number: int, *, netplan: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = cloud_v2.mapping(STATE, netplan=netplan)["ethernets"][f"nic{number}"]
    assert found.pop("match") == {"macaddress": MACS[number]}
    assert found.pop("set-name") == f"nic{number}"
    return found


def test_v2_for_netplan() -> None:
    assert ethernet(0) == {
        "dhcp4": False,
        "accept-ra": False,
        "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
        "routes": [{"to": "0.0.0.0/0", "via": "192.0.2.1"}],
        "nameservers": SERVERS,
    }
    assert ethernet(1)["routes"] == [{"to": "0.0.0.0/0", "via": "203.0.113.1", "on-link": True, "metric": 100}]
    assert ethernet(1)["mtu"] == 9000
    assert ethernet(2)["routes"] == [{"to": "::/0", "via": "fe80::1", "on-link": True}]
    assert ethernet(2)["accept-ra"] is ethernet(2)["dhcp6"] is True
    assert ethernet(3) == {"dhcp4": True, "dhcp6": True, "accept-ra": True, "optional": True}


def test_v2_that_cloud_init_turns_into_files() -> None:
    assert ethernet(0, netplan=False)["gateway4"] == "192.0.2.1"
    assert "routes" not in ethernet(0, netplan=False)
    assert ethernet(1, netplan=False)["routes"] == [{"to": "0.0.0.0/0", "via": "203.0.113.1", "metric": 100}]
    assert ethernet(2, netplan=False)["gateway6"] == "fe80::1"
    assert "dhcp6" not in ethernet(2, netplan=False)


def test_what_is_left_down_is_not_named() -> None:
    assert "nic4" not in cloud_v2.mapping(STATE)["ethernets"]
    assert [each["name"] for each in cloud_v1.mapping(STATE)["config"]] == ["nic0", "nic1", "nic2", "nic3"]


def test_a_lone_dhcp_is_waited_for() -> None:
    assert "optional" not in cloud_v2.mapping(State((DHCP,), (), ()))["ethernets"]["nic3"]


def test_v1() -> None:
    first, second, third, fourth = cloud_v1.mapping(STATE)["config"]
    dns = {"dns_nameservers": ["192.0.2.53"], "dns_search": ["example.org"]}
    assert first == {
        "type": "physical",
        "name": "nic0",
        "mac_address": MACS[0],
        "accept-ra": False,
        "subnets": [
            {"type": "static", "address": "192.0.2.10/24", "gateway": "192.0.2.1", **dns},
            {"type": "static6", "address": "2001:db8::10/64", **dns},
        ],
    }
    assert second["mtu"] == 9000
    assert second["subnets"][0]["routes"] == [
        {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "203.0.113.1", "metric": 100}
    ]
    assert (third["accept-ra"], third["subnets"][0]["gateway"]) == (True, "fe80::1")
    assert fourth["subnets"] == [{"type": "dhcp4"}, {"type": "ipv6_dhcpv6-stateful"}]
