"""SUSE's netconfig(8), which makes resolv.conf from what network services tell it and from its own settings

It leaves a resolv.conf alone that somebody else has written, so name servers go into the settings.
"""

from __future__ import annotations

import re

from helper_agent.net.state import State
from helper_agent.root import Root

SETTINGS = "/etc/sysconfig/network/config"
KEYS = ("NETCONFIG_DNS_STATIC_SEARCHLIST", "NETCONFIG_DNS_STATIC_SERVERS")


def used(root: Root) -> bool:
    """Whether the image has it"""
    return root.is_file(SETTINGS) and "NETCONFIG_DNS_" in root.read_text(SETTINGS)


def apply(root: Root, state: State) -> None:
    """Name servers and search domains into its settings"""
    values = dict(zip(KEYS, (" ".join(state.dns_search), " ".join(state.dns_servers)), strict=True))
    root.edit(SETTINGS, lambda text: settings(text, values))


def settings(text: str, values: dict[str, str]) -> str:
    """`text` with other values; a variable that is not there is added at the end"""
    for name, value in values.items():
        line = f'{name}="{value}"'
        text, count = re.subn(rf"^[ \t]*{name}=.*$", line, text, flags=re.M)
        if not count:
            text += f"{'' if text.endswith(chr(10)) or not text else chr(10)}{line}\n"
    return text
