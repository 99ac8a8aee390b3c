"""Alpine's /etc/network/interfaces, read by BusyBox' ifup or by ifupdown-ng

Both know an interface by its name alone, Alpine has no udev unless asked, and its mdev renames nothing. The kernel's
names follow the order in which virtio devices are probed: mostly that of the PCI slots, but nothing promises it. So the
first that `ifup` does, while the interface is still down, is `nameif` of BusyBox, by MAC address and to a name that the
kernel never gives; it works the same with mdev, mdevd and eudev. Where the MAC address is not there, that interface
fails and no other is taken for it.

The method is `manual` with commands, since the two don't agree on the rest: BusyBox wants a netmask and an inet6 stanza
of its own, ifupdown-ng makes one of both and has one netmask and one metric for all of it. A DHCP client goes to the
background when there is no server (`udhcpc -b`, as Alpine builds it), so `auto` does not hold up the boot.

`auto` is in the main file too: where BusyBox has no `ifquery`, the service looks for it there alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from helper_agent.api import Logger, TaskError
from helper_agent.net import ifupdown, routes
from helper_agent.net.state import HEADER, Interface, State
from helper_agent.root import Root

MAIN = ifupdown.MAIN
OURS = ifupdown.OURS
IFUP = "/sbin/ifup", "/usr/sbin/ifup"
NG = "/usr/libexec/ifupdown-ng", "/etc/network/ifupdown-ng.conf"
NAMEIF = "/sbin/nameif", "/usr/sbin/nameif", "/bin/nameif", "/usr/bin/nameif"
SERVICE = "networking"
BEGIN = "# Names of the interfaces in the file below, for a service that looks for them here alone\n"


def active(root: Root) -> bool:
    """The service is in a runlevel of OpenRC"""
    return present(root) and bool(root.glob(f"/etc/runlevels/*/{SERVICE}"))


def present(root: Root) -> bool:
    """`ifup` is BusyBox' or ifupdown-ng's; Debian's own reads other files"""
    if not any(root.exists(path) for path in IFUP):
        return False
    busybox = any(
        root.is_symlink(path) and "busybox" in root.readlink(path) for path in ("/sbin/ifup", "/usr/sbin/ifup")
    )
    return busybox or any(root.exists(path) for path in NG) or root.is_file("/etc/alpine-release")


def render(state: State) -> Mapping[str, str]:
    """One file with a stanza for each interface

    Raises:
        TaskError: DHCPv6, which no client of Alpine's base system does
    """
    for interface in state.interfaces:
        if interface.ipv6 == "dhcp":
            raise TaskError(
                f"{interface.name} is to have DHCPv6, which Alpine's network service can't do",
                f"give it an address, or let routers advertise one ({interface.name}=slaac)",
                code="E-OPTION",
            )
    return {OURS: HEADER + "".join(_stanza(interface) for interface in state.interfaces if interface.managed)}


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """The image's own stanzas for Ethernet interfaces go away, ours are included, the service is in a runlevel

    Raises:
        TaskError: one of the files is a trap, or there is no such service
        OSError
    """
    if not any(root.is_symlink(path) or root.is_file(path) for path in NAMEIF):
        log.warning("The image's BusyBox seems to have no nameif, without which its network does not come up")
    ifupdown.prune(root, log, paths)
    names = re.findall(r"^iface (\S+)", root.read_text(OURS), re.M)
    root.edit(MAIN, lambda text: included(text or ifupdown.LOOPBACK, names))
    if not active(root):
        from helper_agent.init import base

        base.of(root).enable(root, SERVICE)
        log.info("The image's network service was not enabled: enabled it")


def lacks(state: State) -> Sequence[str]:
    """What it can't do"""
    names = [each.name for each in state.interfaces if each.ipv6 in ("auto", "stateless")]
    return [f"{' and '.join(names)}: Alpine's network service does SLAAC, but no DHCPv6"] if names else []


def included(text: str, names: Sequence[str]) -> str:
    """The main file with our file and its interfaces' names at the end"""
    text = re.sub(rf"^{re.escape(BEGIN)}(auto .*\n)*", "", text, flags=re.M)
    lines = [line for line in text.splitlines(keepends=True) if not _includes(line)]
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    while lines and not lines[-1].strip():
        lines.pop()
    return "".join(lines) + f"\n{BEGIN}" + "".join(f"auto {name}\n" for name in names) + f"source {OURS}\n"


def _includes(line: str) -> bool:
    return line.split() in (["source", OURS], ["source", f"{ifupdown.FOLDER}/*"], ["source-directory", ifupdown.FOLDER])


def _stanza(interface: Interface) -> str:
    name = interface.name
    deaf = f"/proc/sys/net/ipv6/conf/{name}/accept_ra"
    before = [f"test -e /sys/class/net/{name} || nameif {name} {interface.mac}"]
    if interface.mtu:
        before.append(f"ip link set dev {name} mtu {interface.mtu}")
    if not interface.ipv6:
        before.append(f"test ! -w {deaf} || echo 0 > {deaf}")
    up = [f"ip link set dev {name} up"]
    up += [f"ip address add {address.cidr} dev {name}" for address in interface.addresses]
    up += [f"ip {'-6 ' if family == 6 else ''}route add {route}" for family, route in routes.commands(interface)]
    down = [f"ip address flush dev {name}", f"ip link set dev {name} down"]
    lines = [f"iface {name} inet {'dhcp' if interface.dhcp4 else 'manual'}"]
    lines += [f"    {when} {each}" for when, commands in (("pre-up", before), ("up", up)) for each in commands]
    if not interface.dhcp4:
        lines += [f"    down {each}" for each in down]
    return "\n" + "\n".join(lines) + "\n"
