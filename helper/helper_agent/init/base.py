"""Which init the image starts, and how its services are switched on and off

Told by what is in the tree: what /sbin/init is, else which of them is installed. An init is a module of this package
with the functions of `Init`; names of services are those of their files (`sshd`), for systemd with or without .service.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from helper_agent.root import Root

PATHS = ("/sbin/init", "/usr/sbin/init", "/usr/bin/init", "/bin/init")
SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
LINKS = {
    "systemd": "systemd",
    "openrc-init": "openrc",
    "runit-init": "runit",
    "runit": "runit",
    "sysvinit": "sysvinit",
}
"""Name of what a symlink /sbin/init leads to -> module of this package."""
OTHERS = ("dinit", "dinit-init", "s6-linux-init", "s6-svscan", "finit", "shepherd")
"""Inits that nothing is known of here, although another may be installed beside them."""
HOPS = 8


class Init(Protocol):
    """What a module of an init has; a service that isn't there is a TaskError for all but the questions"""

    NAME: str
    """How it is called in messages."""

    def installed(self, root: Root, service: str) -> bool:
        """Whether the image has the service at all"""

    def is_enabled(self, root: Root, service: str) -> bool:
        """Whether it starts at boot"""

    def enable(self, root: Root, service: str) -> bool:
        """Have it start at boot; whether anything had to be changed"""

    def disable(self, root: Root, service: str) -> bool:
        """Have it not start at boot; whether anything had to be changed"""

    def install_oneshot(self, root: Root, name: str, description: str, path: str) -> None:
        """A service `name` that runs the program `path` (absolute, in the image) at the next boot, late and as root,
        with the network up where the init knows that. Once it has ended with 0 the service is no longer enabled;
        otherwise it is run again at the next boot.

        Args:
            name: letters, digits and hyphens
            description: one line, for the boot's messages
        """


def of(root: Root) -> Init:
    """The init of the image; `unknown` where it is none of those here, which says so when it is to change something"""
    return cast(Init, import_module(f"helper_agent.init.{_kind(root)}"))


def _kind(root: Root) -> str:
    """The module's name"""
    by_link = _link(root)
    if by_link in LINKS:
        return LINKS[by_link]
    if by_link in OTHERS or root.is_dir("/nix/store") or root.is_dir("/gnu/store"):
        return "unknown"
    if root.is_file("/etc/rc.d/rc.S") and root.is_file("/etc/rc.d/rc.M"):
        return "slackware"
    if any(root.is_file(path) for path in PATHS):
        # busybox, sysvinit or upstart: what they start is in their tables
        if "openrc" in root.read_text_or("/etc/inittab") or root.is_dir("/etc/runlevels"):
            return "openrc"
        if root.glob("/etc/rc2.d") or root.glob("/etc/rc.d/rc3.d") or root.is_dir("/etc/init.d"):
            return "sysvinit"
    if any(root.is_file(path) for path in SYSTEMD):
        return "systemd"
    return "runit" if root.is_dir("/etc/runit/runsvdir") else "unknown"


def _link(root: Root) -> str:
    """Name of what the first of `PATHS` that is there leads to, where that is a symlink; "" otherwise"""
    path = next((path for path in PATHS if root.is_symlink(path)), "")
    for _ in range(HOPS):
        if not path or not root.is_symlink(path):
            break
        target = root.readlink(path)
        path = target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target}"
        name = target.rstrip("/").rpartition("/")[2]
        if name in LINKS or name in OTHERS:
            return name
    return path.rpartition("/")[2]
