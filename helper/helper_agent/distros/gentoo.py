"""Gentoo, with OpenRC or with systemd"""

from __future__ import annotations

from helper_agent.distros.openrc import MaybeOpenRC
from helper_agent.root import Root


class Gentoo(MaybeOpenRC):
    """Any profile's; OpenRC's hostname is a variable in a shell file"""

    known = True
    renderers = ("netifrc", "networkd", "networkmanager", "dhcpcd")
    sshd_services = ("sshd",)
    admin_groups = ("wheel",)
    zone_files = ("/etc/timezone",)

    def look(self, root: Root) -> None:
        """See `Distro.look`"""
        super().look(root)
        if self.hostname_key:
            self.locale_files = ("/etc/env.d/02locale",)


DISTRO = Gentoo
