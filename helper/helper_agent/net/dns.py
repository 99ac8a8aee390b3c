"""Name servers that a renderer's files alone don't bring to the resolver: resolv.conf(5), resolved, netconfig"""

from __future__ import annotations

from helper_agent.net import netconfig
from helper_agent.net.state import HEADER, State
from helper_agent.root import Root

RESOLV = "/etc/resolv.conf"
RESOLVED = "/etc/systemd/resolved.conf.d/ganeti.conf"
RESOLVED_WANTED = "/etc/systemd/system/sysinit.target.wants/systemd-resolved.service"
RESOLVED_WANTED_BEFORE = "/etc/systemd/system/multi-user.target.wants/systemd-resolved.service"
"""Where it was wanted from before systemd 253."""


def apply(root: Root, state: State) -> None:
    """Tell the resolver of the image; without servers the image keeps what it has

    Raises:
        TaskError: resolv.conf is not a regular file
        OSError
    """
    if not state.dns_servers:
        return
    servers, search = state.dns_servers, " ".join(state.dns_search)
    if root.is_symlink(RESOLVED_WANTED) or root.is_symlink(RESOLVED_WANTED_BEFORE):
        domains = f"Domains={search}\n" if search else ""
        root.write(RESOLVED, f"{HEADER}[Resolve]\nDNS={' '.join(servers)}\n{domains}")
        return
    if root.is_file(netconfig.SETTINGS) and netconfig.used(root):
        netconfig.apply(root, state)
        return
    if root.exists("/sbin/resolvconf") or root.exists("/usr/sbin/resolvconf"):
        return  # makes resolv.conf from the renderer's files
    text = f"search {search}\n" if search else ""
    text += "".join(f"nameserver {server}\n" for server in servers)
    # follow=False: a symlink into /run of a resolver that the image doesn't run would lead nowhere
    root.write(RESOLV, HEADER + text, follow=not _transient(root))


def _transient(root: Root) -> bool:
    return root.is_symlink(RESOLV) and ("/run/" in root.readlink(RESOLV) or not root.exists(RESOLV))
