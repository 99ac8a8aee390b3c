"""A state made real: network systems of Debian in a network namespace, and what the kernel says afterwards

Every interface of the state is one end of a virtual cable. At the other end, in a namespace of its own, is a router
that offers all there is: DHCP, advertisements, and DHCPv6 where the interface wants it.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helper_agent.net.state import METRICS, Interface, State

PATIENCE = 30.0
DHCP = ipaddress.ip_network("10.30.0.0/16")
AUTO = ipaddress.ip_network("2001:db8:30::/48")

SETUP = """set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/network /run/systemd/netif/links /run/dbus /run/network /run/etc /run/work /run/lib /run/lease
mount -t overlay none -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work /etc
chown systemd-network: /run/systemd/netif /run/systemd/netif/links
for folder in /var/lib/dhcp /var/lib/NetworkManager; do [ ! -d $folder ] || mount -t tmpfs none $folder; done
ip link set lo up
unshare --net sleep 1000 & router=$!
sleep 0.2
"""


class Namespace:
    """Where a network system runs"""

    def __init__(self, pid: int, output: Path) -> None:
        self._pid = pid
        self.output = output

    def ip(self, *arguments: str) -> list[dict[str, Any]]:
        """What `ip -j` says"""
        done = subprocess.run(
            ["nsenter", f"--target={self._pid}", "--net", "ip", "-j", *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        return found

    def differences(self, state: State) -> list[str]:
        """What is not as `state` says, after a while if need be"""
        end = time.monotonic() + PATIENCE
        while (found := list(self.now(state))) and time.monotonic() < end:
            time.sleep(0.5)
        return found

    def now(self, state: State) -> Iterator[str]:
        """What is not as `state` says, at once"""
        links = {link["address"]: link for link in self.ip("address")}
        routes = {4: self.ip("-4", "route", "show", "default"), 6: self.ip("-6", "route", "show", "default")}
        for each in state.interfaces:
            link = links[each.mac]
            for problem in (*_addresses(each, link), *_link(each, link), *_routes(each, link, routes)):
                yield f"{each.name} {each}: {problem}"


def _addresses(wanted: Interface, link: dict[str, Any]) -> Iterator[str]:
    there = [ipaddress.ip_interface(f"{row['local']}/{row['prefixlen']}") for row in link["addr_info"]]
    there = [each for each in there if not each.is_link_local]
    static = {ipaddress.ip_interface(each.cidr) for each in wanted.addresses}
    if static - {*there}:
        yield f"lacks {static - {*there}}, has {there}"
    rest = [each for each in there if each not in static]
    dhcp, auto = ([each for each in rest if each in net] for net in (DHCP, AUTO))
    leased = [each for each in auto if each.ip.packed[-2:] == b"\x01\x50"]
    made = [each for each in auto if each.ip.packed[8:] == _eui64(wanted.mac)]
    yield from _one(bool(dhcp), wanted.dhcp4, "an address by DHCP")
    yield from _one(bool(leased), wanted.ipv6 == "dhcp", "an address by DHCPv6")
    if wanted.ipv6 != "dhcp":
        yield from _one(bool(made), bool(wanted.ipv6), "a SLAAC address")
    if strange := [each for each in rest if each not in (*dhcp, *leased, *made)]:
        yield f"has {strange}"


def _link(wanted: Interface, link: dict[str, Any]) -> Iterator[str]:
    yield from _one("UP" in link["flags"], wanted.managed, "its link up")
    if link["mtu"] != (wanted.mtu or 1500):
        yield f"has an MTU of {link['mtu']}"


def _routes(wanted: Interface, link: dict[str, Any], routes: dict[int, list[dict[str, Any]]]) -> Iterator[str]:
    for family, rows in routes.items():
        hops = [{**row, **hop} for row in rows for hop in row.get("nexthops", [{}])]
        own = [hop for hop in hops if hop["dev"] == link["ifname"]]
        gateways = {each.gateway: each.metric for each in wanted.addresses if each.gateway and each.family == family}
        found = {row["gateway"]: row.get("metric", 0) for row in own}
        foreign = {gateway for gateway in found if not gateway.startswith(("10.30.", "fe80::ff"))}
        if missing := {*gateways} ^ foreign:
            yield f"should have the IPv{family} gateways {[*gateways]}, has {own} ({missing})"
        for gateway, metric in gateways.items():
            if metric and gateway in found and found[gateway] % 20000 != metric % METRICS[6] + METRICS[family]:
                yield f"has {gateway} with the metric {found[gateway]}, not {metric}"


def _one(there: bool, wanted: bool, what: str) -> Iterator[str]:
    if there != wanted:
        yield f"{'has' if there else 'lacks'} {what}"


def _eui64(mac: str) -> bytes:
    octets = bytes.fromhex(mac.replace(":", ""))
    return bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])


@contextmanager
def started(tmp_path: Path, state: State, script: str) -> Iterator[Namespace]:
    """`script`, which starts a network system, in namespaces that have the interfaces of `state` as d0, d1, ..."""
    wires = "".join(_wire(number, each) for number, each in enumerate(state.interfaces))
    server = f"nsenter --target=$router --net dnsmasq --conf-file={tmp_path}/dnsmasq.conf --pid-file\n"
    (tmp_path / "dnsmasq.conf").write_text(_router(state))
    text = (
        f"{SETUP}{wires}touch /run/ready\nmount -t sysfs -o ro none /sys\n{server}cd {tmp_path}\n{script}\nsleep 1000\n"
    )
    (tmp_path / "script").write_text(text)
    unshare = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen([*unshare, "bash", str(tmp_path / "script")], stdout=output, stderr=output)
    try:
        yield Namespace(_child(process), tmp_path / "output")
    finally:
        process.kill()
        process.wait()
        print((tmp_path / "output").read_text()[-20000:])


def _child(process: subprocess.Popen[bytes]) -> int:
    """The process in the namespaces, once all interfaces are there"""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and Path(f"/proc/{children[0]}/root/run/ready").exists():
            return int(children[0])
        time.sleep(0.1)
    raise AssertionError("the namespace was not set up")


def _wire(number: int, interface: Interface) -> str:
    peer = f"p{number}"
    return (
        f"ip link add d{number} address {interface.mac} type veth"
        f" peer name {peer} address 02:00:00:00:ff:{number:02x} netns $router\n"
        f"nsenter --target=$router --net sh -c '"
        f"ip link set {peer} up; ip address add 10.30.{number}.1/24 dev {peer};"
        f" ip address add 2001:db8:30:{number:x}::1/64 dev {peer} nodad; ip address add fe80::ff/64 dev {peer} nodad'\n"
    )


def _router(state: State) -> str:
    lines = ["no-resolv", "port=0", "enable-ra", "leasefile-ro", "dhcp-authoritative", "no-ping", "log-dhcp"]
    lines += ["log-facility=/dev/null"]
    for number, each in enumerate(state.interfaces):
        net = f"2001:db8:30:{number:x}::"
        lines.append(f"dhcp-range=10.30.{number}.50,10.30.{number}.60,255.255.255.0")
        kinds = {"dhcp": f"{net}150,{net}150,64", "stateless": f"{net},ra-stateless,64"}
        lines.append(f"dhcp-range={kinds.get(each.ipv6, f'{net},ra-only,64')}")
        lines.append(f"ra-param=p{number},4,60")
    return "\n".join(lines) + "\n"
