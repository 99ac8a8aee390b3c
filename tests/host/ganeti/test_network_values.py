from __future__ import annotations

import pytest

from helper_agent.net import wishes
from helper_agent.net.wishes import RENDERERS
from helper_host.errors import ProviderError
from helper_host.ganeti.options import as_they_are
from helper_host.ganeti.parameters import Parameters, parse_values


def test_each_nic_has_a_parameter_and_an_option() -> None:
    rows = [name for name in Parameters.rows if name.startswith("nic")]
    assert tuple(rows) == wishes.NAMES
    assert [Parameters.rows[name].option for name in rows] == [f"network.{name}" for name in wishes.NAMES]


def test_they_reach_the_task_as_they_are() -> None:
    given = {"nic0": "  static  2001:db8::5/64 mtu=9000", "nic1": "none", "default_nic": "dhcp+slaac_dhcp"}
    made = as_they_are(parse_values({**given, "network_renderer": "Networkd"}))
    assert made["network"] == {
        "nic0": "static 2001:db8::5/64 mtu=9000",
        "nic1": "none",
        "default_nic": "dhcp+slaac_dhcp",
        "renderer": "networkd",
    }


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("nic0", "dhpc", "'dhpc', which is not known"),
        ("nic7", "192.0.2.5", "without the length of its subnet"),
        ("nic3", "none dhcp", "something beside none"),
        ("default_nic", "static", "'static', which is not known"),
        ("network_renderer", "net/plan", "is no network renderer"),
    ],
)
def test_what_is_wrong_is_said(name: str, value: str, part: str) -> None:
    with pytest.raises(ProviderError, match=part) as caught:
        parse_values({name: value})
    assert f"OS parameter '{name}'" in caught.value.cause
    assert caught.value.remedy


@pytest.mark.parametrize("name", RENDERERS)
def test_every_renderer_can_be_named(name: str) -> None:
    assert parse_values({"network_renderer": name}).network_renderer == name
