"""Names by MAC address, for systems whose files know interfaces by their name alone: udev(7)

The rule gives each NIC the name that the state has for it (nic0, nic1, ...), which no kernel and no systemd gives, so
that none is taken already when several are renamed. It is read by systemd's udev and by eudev alike, comes before
80-net-setup-link.rules (which names what has no name yet), and counts again after the initramfs, when all devices are
`add`ed once more. Systems without udev have a means of their own (`alpine`).
"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.net.state import HEADER, State

RULES = "/etc/udev/rules.d/69-ganeti-net.rules"
"""Before 70-persistent-net.rules, which an image may have from the machine on which it was made."""


def rules(state: State) -> Mapping[str, str]:
    """The rule's file; DRIVERS, since a VLAN or bridge on top of a NIC has the same address and no driver"""
    lines = (
        f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{each.mac}", ATTR{{type}}=="1",'
        f' NAME="{each.name}"\n'
        for each in state.interfaces
    )
    return {RULES: HEADER + "".join(lines)}
