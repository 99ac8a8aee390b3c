"""Debian's ifupdown: interfaces(5), by patterns on the MAC address (ifupdown 0.8.20, Debian 9, and later)

Every interface is renamed by its MAC address, the first one that has it (a VLAN or bridge on top has the same one). A
pattern after `auto` would keep the kernel's name, but then `ifquery --list` is empty until the device exists, so
ifupdown-pre.service doesn't wait for it, and on a slow boot the interface stays down (seen). `allow-hotplug` takes no
pattern either (seen: `ifquery: unknown interface`).

With DHCP it must not be `auto`, or a network without a server holds up the boot for a minute.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from helper_agent.api import Logger
from helper_agent.net.state import HEADER, Address, Interface, State
from helper_agent.root import Root

MAIN = "/etc/network/interfaces"
FOLDER = "/etc/network/interfaces.d"
OURS = f"{FOLDER}/ganeti"
LOOPBACK = "auto lo\niface lo inet loopback\n"

PHYSICAL = re.compile(r"(eth|en|nic)[A-Za-z0-9]*(:\w+)?")
"""Names of Ethernet interfaces and their aliases; VLANs (with a dot), bridges and bonds are the image's own affair."""
KEYWORDS = re.compile(r"(iface|mapping|auto|allow-\S+|rename|source|source-directory|no-auto-down|no-scripts)$")


def active(root: Root) -> bool:
    """Its service is enabled, by systemd or by an init script"""
    return present(root) and bool(
        root.glob("/etc/systemd/system/*.wants/networking.service") or root.glob("/etc/rc[S2].d/S??networking")
    )


def present(root: Root) -> bool:
    """`ifup` is installed"""
    return root.exists("/sbin/ifup") or root.exists("/usr/sbin/ifup")


def render(state: State) -> Mapping[str, str]:
    """One file with a stanza for each interface"""
    return {OURS: HEADER + "".join(_interface(state, interface) for interface in state.interfaces)}


def settle(root: Root, log: Logger, paths: Sequence[str]) -> None:
    """The image's own stanzas for Ethernet interfaces go away, or one of them would bring up ours with DHCP"""
    prune(root, log, paths)
    text = root.read_text_or(MAIN, LOOPBACK)
    if not re.search(rf"^[ \t]*source(-directory)?[ \t]+({FOLDER}|interfaces\.d)(/\*)?[ \t\r]*$", text, re.M):
        root.write(MAIN, f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}\nsource {FOLDER}/*\n")


def prune(root: Root, log: Logger, keep: Sequence[str] = ()) -> None:
    """Take the stanzas for Ethernet interfaces out of the image's files, `keep` excepted

    Raises:
        TaskError: one of them is a trap
        OSError
    """
    for path in (MAIN, *(path for path in root.glob(f"{FOLDER}/*") if path not in keep)):
        if not root.is_file(path):
            continue
        before = root.read_text(path)
        after = without_ethernet(before)
        if after != before:
            root.write(path, after)
            log.info(f"The image's own configuration of Ethernet interfaces was taken out of {path}")


def without_ethernet(text: str) -> str:
    """`text` without what brings up or configures Ethernet interfaces, or sources files made at boot"""
    result: list[str] = []
    dropping = False
    for line in _logical_lines(text):
        kept = line
        word, *names = line.replace("\\\n", " ").split() or [""]
        if not KEYWORDS.match(word):
            if not dropping or not word or word.startswith("#"):
                result.append(line)
            continue
        dropping = False
        if word == "iface":
            dropping = bool(names) and _ethernet(names[0])
        elif word in ("rename", "mapping"):
            dropping = True
        elif word.startswith("source"):
            dropping = bool(names) and names[0].startswith("/run/")
        elif any(_ethernet(name) for name in names):
            others = [name for name in names if not _ethernet(name)]
            dropping = not others
            kept = f"{word} {' '.join(others)}\n"
        if not dropping:
            result.append(kept)
    return "".join(result)


def _ethernet(name: str) -> bool:
    """Whether a name, or a pattern (which has a slash), stands for Ethernet interfaces"""
    return "/" in name or PHYSICAL.fullmatch(name) is not None


def _logical_lines(text: str) -> list[str]:
    """Lines with their newline, continued ones (backslash at the end) as one"""
    lines: list[str] = []
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        if lines and lines[-1].endswith("\\\n"):
            lines[-1] += line
        else:
            lines.append(line)
    return lines


def _interface(state: State, interface: Interface) -> str:
    name, mac = interface.name, interface.mac
    if not interface.managed:
        return f"\n# {mac} is left down\n"
    waited_for = interface.addresses and not interface.dhcp4 and interface.ipv6 in ("", "auto")
    text = f"\nrename mac/{mac}/1={name}\n{'auto' if waited_for else 'allow-hotplug'} {name}\n"
    common = _option("pre-up", f"ip link set dev {name} mtu {interface.mtu}" if interface.mtu else "")
    if not interface.ipv6:
        common += _option("pre-up", f"echo 0 >/proc/sys/net/ipv6/conf/{name}/accept_ra || true")
    dns = _option("dns-nameservers", " ".join(state.dns_servers)) + _option("dns-search", " ".join(state.dns_search))
    stanzas = [_stanza(name, each, interface.ipv6) for each in interface.addresses]
    if interface.dhcp4:
        stanzas.append(f"iface {name} inet dhcp\n")
    if interface.ipv6 == "dhcp":
        stanzas.append(f"iface {name} inet6 dhcp\n" + _option("accept_ra", "1"))
    elif interface.ipv6 == "stateless":
        stanzas.append(f"iface {name} inet6 auto\n" + _option("privext", "0") + _option("dhcp", "1"))
    elif interface.ipv6 and not stanzas:
        stanzas.append(f"iface {name} inet6 auto\n" + _option("privext", "0"))
    # the first brings the link up, and advertisements are heard from then on
    return text + stanzas[0] + common + dns + "".join(each + dns for each in stanzas[1:])


def _stanza(name: str, address: Address, ipv6: str) -> str:
    # ifupdown declares every gateway on-link (`ip route add default via ... onlink`)
    text = (
        f"iface {name} {'inet' if address.family == 4 else 'inet6'} static\n"
        + _option("address", address.cidr)
        + _option("gateway", address.gateway)
        + _option("metric", str(address.metric or ""))
    )
    return text + (_option("accept_ra", "1") + _option("autoconf", "1") if address.family == 6 and ipv6 else "")


def _option(name: str, value: str) -> str:
    return f"    {name} {value}\n" if value else ""
