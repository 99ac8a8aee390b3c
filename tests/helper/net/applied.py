"""What a network system makes of a renderer's files, in a network namespace with a link for each interface"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from helper_agent.api import TaskError
from helper_agent.net.state import Interface
from tests.helper.net import states

KINDS = {**states.KINDS}
"""Those of all renderers, and one that is not the first way out."""
KINDS["metric"] = Interface("nic0", states.MAC, (states.V4._replace(metric=100), states.V6._replace(metric=1124)))
STATIC = {name: each for name, each in KINDS.items() if not each.dhcp4 and each.ipv6 in ("", "auto")}
"""Kinds that need nobody on the other end of the link."""
METRICS = {4: 0, 6: 1024}


class Found(NamedTuple):
    """An interface as the kernel has it; link-local addresses left out"""

    up: bool
    addresses: frozenset[str]
    ways: frozenset[tuple[str, int]]
    """Gateways of default routes, with the metric."""
    mtu: int
    deaf: bool
    """It doesn't listen to routers."""


def wanted(interface: Interface) -> Found:
    """What the state says"""
    return Found(
        interface.managed,
        frozenset(address.cidr for address in interface.addresses),
        frozenset(
            (address.gateway, address.metric or METRICS[address.family])
            for address in interface.addresses
            if address.gateway
        ),
        interface.mtu or 1500,
        interface.managed and not interface.ipv6,
    )


def run(script: str, interfaces: Sequence[Interface], *, named: bool) -> tuple[dict[str, Found], str]:
    """Run a shell script in namespaces of its own; the interfaces by their MAC addresses, and what was printed

    Args:
        named: whether they have their names already
    """
    lines = ["set -e", "mount -t sysfs none /sys", "mount -t tmpfs none /run"]
    for index, each in enumerate(interfaces):
        name = each.name if named else f"d{index}"
        lines.append(f"ip link add {name} address {each.mac} type veth peer name p{index}")
        lines.append(f"ip link set p{index} up")
    lines += [script, "echo; echo FOUND", "ip -j address", "ip -j route", "ip -6 -j route"]
    lines.append("grep . /proc/sys/net/ipv6/conf/*/accept_ra")
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    printed, _, found = done.stdout.partition("\nFOUND\n")
    addresses, routes, routes6, *hearing = found.splitlines()
    links = {link["address"]: link for link in json.loads(addresses) if "address" in link}
    return {
        each.mac: _found(links[each.mac], [*json.loads(routes), *json.loads(routes6)], hearing) for each in interfaces
    }, printed


def attempt(action: Callable[[], object]) -> None:
    """Do what may fail with a TaskError"""
    try:
        action()
    except TaskError:
        pass


def _found(link: dict[str, Any], routes: Sequence[dict[str, Any]], hearing: Sequence[str]) -> Found:
    name = link["ifname"]
    own = [each for each in link["addr_info"] if each["scope"] == "global"]
    ways = [route for route in routes if route["dst"] == "default" and route["dev"] == name]
    return Found(
        "UP" in link["flags"],
        frozenset(f"{each['local']}/{each['prefixlen']}" for each in own),
        frozenset((route["gateway"], int(route.get("metric", 0))) for route in ways),
        int(link["mtu"]),
        f"/proc/sys/net/ipv6/conf/{name}/accept_ra:0" in hearing,
    )
