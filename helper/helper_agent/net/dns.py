"""Name servers that a renderer's files alone don't bring to the resolver

resolv.conf(5) belongs to systemd-resolved, to SUSE's netconfig, to resolvconf or openresolv, or to nobody. DHCP clients
that write it themselves are told to put our servers before theirs.
"""

from __future__ import annotations

import re

from helper_agent.net import netconfig
from helper_agent.net.state import HEADER, State
from helper_agent.root import Root

RESOLV = "/etc/resolv.conf"
RESOLVED = "/etc/systemd/resolved.conf.d/ganeti.conf"
RESOLVED_WANTED = "/etc/systemd/system/sysinit.target.wants/systemd-resolved.service"
RESOLVED_WANTED_BEFORE = "/etc/systemd/system/multi-user.target.wants/systemd-resolved.service"
"""Where it was wanted from before systemd 253."""
RESOLVCONF = "/sbin/resolvconf", "/usr/sbin/resolvconf", "/usr/bin/resolvconf"
"""A symlink of that name leads to resolved's resolvectl."""
RESOLVCONF_BASE = "/etc/resolvconf/resolv.conf.d/base"
"""Of Debian's resolvconf: what it adds to what interfaces bring."""
OPENRESOLV = "/etc/resolvconf.conf"
DHCLIENT = "/etc/dhcp/dhclient.conf", "/etc/dhclient.conf"
"""Where it is in Debian, and elsewhere."""
DHCPCD = "/sbin/dhcpcd", "/usr/sbin/dhcpcd", "/usr/bin/dhcpcd"
DHCPCD_HEAD = "/etc/resolv.conf.head"
"""What its hook 20-resolv.conf puts before the servers of DHCP."""
BEGIN, END = "# ganeti-instance-helper: name servers\n", "# end of ganeti-instance-helper\n"


def apply(root: Root, state: State) -> None:
    """Tell the resolver of the image; without servers the image keeps what it has

    Raises:
        TaskError: a file is not a regular one
        OSError
    """
    if not state.dns_servers:
        return
    if root.is_symlink(RESOLVED_WANTED) or root.is_symlink(RESOLVED_WANTED_BEFORE):
        domains = f"Domains={' '.join(state.dns_search)}\n" if state.dns_search else ""
        root.install(RESOLVED, f"{HEADER}[Resolve]\nDNS={' '.join(state.dns_servers)}\n{domains}")
    elif netconfig.used(root):
        netconfig.apply(root, state)
    elif any(root.is_file(path) and not root.is_symlink(path) for path in RESOLVCONF):
        _resolvconf(root, state)
    else:
        if any(each.dhcp4 or each.ipv6 in ("dhcp", "stateless") for each in state.interfaces):
            _dhcp(root, state)
        # follow=False: a symlink into /run of a resolver that the image doesn't run would lead nowhere
        root.write(RESOLV, HEADER + _lines(state), follow=not _transient(root))


def _lines(state: State) -> str:
    search = f"search {' '.join(state.dns_search)}\n" if state.dns_search else ""
    return search + "".join(f"nameserver {server}\n" for server in state.dns_servers)


def _transient(root: Root) -> bool:
    return root.is_symlink(RESOLV) and ("/run/" in root.readlink(RESOLV) or not root.exists(RESOLV))


def _resolvconf(root: Root, state: State) -> None:
    """It makes resolv.conf of what interfaces bring, and of this"""
    if root.is_dir("/etc/resolvconf") and not root.exists(OPENRESOLV):
        root.install(RESOLVCONF_BASE, HEADER + _lines(state))
        return
    root.edit(OPENRESOLV, lambda text: _openresolv(text, state))


def _openresolv(text: str, state: State) -> str:
    """resolvconf.conf(5), which is shell"""
    kept = re.sub(r"^[ \t]*(name_servers|search_domains)=.*\n?", "", text, flags=re.M)
    end = "" if not kept or kept.endswith("\n") else "\n"
    search = f'search_domains="{" ".join(state.dns_search)}"\n' if state.dns_search else ""
    return f'{kept}{end}name_servers="{" ".join(state.dns_servers)}"\n{search}'


def _dhcp(root: Root, state: State) -> None:
    """Clients that write resolv.conf by themselves: ISC's dhclient and dhcpcd"""
    for path in DHCLIENT:
        if root.is_file(path):
            root.edit(path, lambda text: _dhclient(text, state))
    if any(root.exists(path) for path in DHCPCD):
        root.install(DHCPCD_HEAD, HEADER + _lines(state))


def _dhclient(text: str, state: State) -> str:
    """dhclient.conf(5) with our statements at the end, in the place of an earlier run's"""
    # Behind the last end each beginning would be followed to the file's end
    last = text.rfind(END) + len(END) if END in text else 0
    kept = re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", "", text[:last], flags=re.DOTALL) + text[last:]
    end = "" if not kept or kept.endswith("\n") else "\n"
    domains = ", ".join(f'"{domain}"' for domain in state.dns_search)
    values = {
        "domain-name-servers": ", ".join(server for server in state.dns_servers if ":" not in server),
        "dhcp6.name-servers": ", ".join(server for server in state.dns_servers if ":" in server),
        "domain-search": domains,
        "dhcp6.domain-search": domains,
    }
    statements = "".join(f"prepend {name} {value};\n" for name, value in values.items() if value)
    return f"{kept}{end}{BEGIN}{statements}{END}"
