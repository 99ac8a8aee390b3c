"""dhcpcd as the network system (Void, Gentoo, Raspberry Pi OS, Arch): dhcpcd.conf(5)

A block of the file is for an interface by name (profiles go by what answers on the network, not by our own address), so
`naming` gives it. There is no way to include a file: ours is a part that `settle` puts into the image's, between two
lines that mark it. What the file can't say (a gateway for IPv6 or outside of the subnet, further addresses of one
family, since dhcpcd 9 the MTU) is done by /etc/dhcpcd.exit-hook, which dhcpcd runs whenever something changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from helper_agent.api import Logger
from helper_agent.net import naming, routes
from helper_agent.net.ifupdown import PHYSICAL
from helper_agent.net.state import HEADER, Address, Interface, State
from helper_agent.root import Root

if TYPE_CHECKING:
    from helper_agent.init.base import Init

SETTINGS = "/etc/dhcpcd.conf"
HOOK = "/etc/dhcpcd.exit-hook"
PARTS = {f"{path}.ganeti": path for path in (SETTINGS, HOOK)}
"""Our parts, which are gone when they are in the image's files."""
RESOLVES = True
SERVICES = ("dhcpcd", "dhcpcd5")
PROGRAMS = "/sbin/dhcpcd", "/usr/sbin/dhcpcd", "/usr/bin/dhcpcd"
BEGIN = HEADER.replace("# ", "# begin: ", 1)
END = "# end: ganeti-instance-helper\n"


def active(root: Root) -> bool:
    """Its service is enabled"""
    return present(root) and any(_init(root).is_enabled(root, service) for service in SERVICES)


def present(root: Root) -> bool:
    """It is installed, with a service"""
    if not any(root.exists(path) for path in PROGRAMS):
        return False
    return any(_init(root).installed(root, service) for service in SERVICES)


def render(state: State) -> Mapping[str, str]:
    """Parts for the image's files"""
    idle = " ".join(interface.name for interface in state.interfaces if not interface.managed)
    text = f"denyinterfaces {idle}\n" if idle else ""
    text += "".join(_block(state, interface) for interface in state.interfaces if interface.managed)
    hook = "".join(_case(interface) for interface in state.interfaces)
    if hook:
        hook = f'case "$interface" in\n{hook}esac\n'
    return {**naming.rules(state), f"{SETTINGS}.ganeti": text, f"{HOOK}.ganeti": hook}


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """Our parts go into the image's files, whose blocks for Ethernet interfaces go away; the service is enabled

    Raises:
        TaskError: one of them is a trap
        OSError
    """
    for part, path in PARTS.items():
        if part in paths:
            ours = root.read_text(part)
            root.edit(path, partial(_settings if path == SETTINGS else with_part, ours=ours))
            root.remove(part)
    if not active(root):
        system = _init(root)
        system.enable(root, next((each for each in SERVICES if system.installed(root, each)), SERVICES[0]))
        log.info("dhcpcd is installed in the image, but was not enabled: enabled it")


def with_part(text: str, ours: str) -> str:
    """`text` with our part at its end instead of an earlier one"""
    text = without_part(text)
    if not ours:
        return text
    kept = text.rstrip("\n")
    return f"{kept}{chr(10) * 2 if kept else ''}{BEGIN}{ours}{END}"


def without_part(text: str) -> str:
    """`text` without our part"""
    # Behind the last end each beginning would be followed to the file's end
    last = text.rfind(END) + len(END) if END in text else 0
    kept = re.sub(rf"^\n?{re.escape(BEGIN)}.*?^{re.escape(END)}", "", text[:last], flags=re.M | re.S)
    return kept + text[last:]


def without_ethernet(text: str) -> str:
    """dhcpcd.conf without blocks for Ethernet interfaces, and with ours among those that it may configure"""
    result: list[str] = []
    dropping = False
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        word, *names = line.replace(",", " ").split() or [""]
        if word in ("interface", "profile", "ssid"):
            dropping = word == "interface" and bool(names) and PHYSICAL.fullmatch(names[0]) is not None
        if not dropping:
            result.append(_allowing(word, names) if word in ("allowinterfaces", "denyinterfaces") else line)
    return "".join(result)


def _allowing(word: str, names: Sequence[str]) -> str:
    """A line that says which interfaces dhcpcd may configure, by patterns, so that ours are among them"""
    import fnmatch

    ours = [name for name in names if re.fullmatch(r"nic\d+", name) or fnmatch.fnmatchcase("nic0", name)]
    kept = [name for name in names if name not in ours or (word == "allowinterfaces")]
    if word == "allowinterfaces" and not ours:
        kept.append("nic*")
    return f"{word} {' '.join(kept)}\n" if kept else ""


def _settings(text: str, ours: str) -> str:
    """dhcpcd.conf with ours; `denyinterfaces` counts before the first block alone"""
    lines = ours.splitlines(keepends=True)
    deny = "".join(line for line in lines if line.startswith("denyinterfaces "))
    blocks = "".join(line for line in lines if not line.startswith("denyinterfaces "))
    return deny + with_part(without_ethernet(without_part(text)), blocks)


def _init(root: Root) -> Init:
    from helper_agent.init import base

    return base.of(root)


def _block(state: State, interface: Interface) -> str:
    lines = [f"interface {interface.name}"]
    own = routes.of_family(interface, 4)
    if interface.dhcp4:
        pass
    elif own:
        lines.append(f"static ip_address={own[0].cidr}")
        if own[0].gateway and not own[0].on_link:
            lines.append(f"static routers={own[0].gateway}")
            # its own would be above 200 or, of newer ones, 1000: a spare way out would be the first
            lines.append(f"metric {own[0].metric}")
    else:
        lines.append("noipv4")
    if others := routes.of_family(interface, 6):
        lines.append(f"static ip6_address={others[0].cidr}")
    if not interface.ipv6:
        lines += ["noipv6rs", "nodhcp6"]
    elif interface.ipv6 == "dhcp":
        lines.append("ia_na")
    if state.dns_servers:
        lines.append(f"static domain_name_servers={' '.join(state.dns_servers)}")
    if state.dns_search:
        lines.append(f"static domain_search={' '.join(state.dns_search)}")
    return "\n".join(lines) + "\n"


def _case(interface: Interface) -> str:
    """What the hook does for one interface, without complaint where it is done already"""
    further = [*routes.of_family(interface, 4)[0 if interface.dhcp4 else 1 :], *routes.of_family(interface, 6)[1:]]
    ways = [way for way in interface.addresses if way.gateway and _hooked(interface, way)]
    deaf = f"/proc/sys/net/ipv6/conf/{interface.name}/accept_ra"
    # it leaves the kernel's own listening to routers on when it doesn't listen itself
    lines = [f"test ! -w {deaf} || echo 0 >{deaf}"] if interface.managed and not interface.ipv6 else []
    if interface.mtu:
        lines.append(f"ip link set dev {interface.name} mtu {interface.mtu}")
    lines += [f"ip address replace {address.cidr} dev {interface.name}" for address in further]
    lines += _ways(interface, ways)
    if not lines:
        return ""
    commands = "".join(f"\t{line} 2>/dev/null || :\n" for line in lines)
    return f"{interface.name})\n{commands}\t;;\n"


def _hooked(interface: Interface, way: Address) -> bool:
    """Whether a way out is the hook's; dhcpcd itself fails at one outside of the subnet beside another interface's"""
    return way.family == 6 or way.on_link or interface.dhcp4


def _ways(interface: Interface, ways: Sequence[Address]) -> list[str]:
    found = routes.commands(interface._replace(addresses=tuple(ways)))
    return [f"ip {'-6 ' if family == 6 else ''}route replace {route}" for family, route in found]
