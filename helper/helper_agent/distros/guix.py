"""Guix System: as NixOS; accounts keep their passwords, sshd reads keys from homes"""

from __future__ import annotations

from helper_agent.distros.store import Store
from helper_agent.root import Root

SET_AT_BOOT = ("/etc/hostname", "/etc/hosts")


class Guix(Store):
    """Guix System 1.3 and later; its Shepherd sets the hostname"""

    profile = "/var/guix/profiles/system"
    immutable = "Guix System makes the files below /etc from its configuration at every boot; set it there"

    def lasts(self, root: Root, path: str) -> bool:
        """See `Distro.lasts`"""
        return path not in SET_AT_BOOT and super().lasts(root, path)


DISTRO = Guix
