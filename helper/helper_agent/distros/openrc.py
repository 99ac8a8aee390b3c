"""Facts of systems that OpenRC boots, where they differ from those of the same system with systemd"""

from __future__ import annotations

from helper_agent.distros.base import Distro
from helper_agent.init import base
from helper_agent.root import Root

HOSTNAME = "/etc/conf.d/hostname"


class MaybeOpenRC(Distro):
    """A system that comes with OpenRC or with another init, which the image's content tells"""

    def look(self, root: Root) -> None:
        """See `Distro.look`"""
        if base.of(root).NAME != "OpenRC":
            return
        self.hostname_file, self.hostname_key = HOSTNAME, "hostname"
        # OpenRC's script takes this one first
        self.hostname_also = ("/etc/hostname",)
        self.keyboard_files = ("/etc/conf.d/keymaps",)
