"""Systems made from one description, whose files below /etc are links into a store that nothing may change"""

from __future__ import annotations

from helper_agent.distros.base import Distro
from helper_agent.root import Root

STORES = ("/nix/store", "/gnu/store")


class Store(Distro):
    """A file that is described is made anew at each boot; others are left alone, and so last"""

    known = True
    profile = ""
    """Where the system that boots next is, and in its folder `etc` all that it puts below /etc."""
    own_address = ""
    renderers = ()
    sshd_services = ("sshd",)
    admin_groups = ("wheel",)
    grub_defaults = ()
    grub_mkconfig = ()

    def look(self, root: Root) -> None:
        """See `Distro.look`: the store stays as it is; before the first boot sshd's configuration is there alone"""
        root.keep(STORES, self.immutable)
        described = f"{self.profile}{self.sshd_config}"
        if not root.exists(self.sshd_config) and root.exists(described):
            self.sshd_config = described

    def has_sshd(self, root: Root) -> bool:
        """See `Distro.has_sshd`: told by its keys too, where its configuration and program are in the store alone"""
        return super().has_sshd(root) or bool(root.glob("/etc/ssh/ssh_host_*_key"))

    def lasts(self, root: Root, path: str) -> bool:
        """See `Distro.lasts`"""
        parts = path.strip("/").split("/")
        on_the_way = ["/" + "/".join(parts[: count + 1]) for count in range(len(parts))]
        if any(root.is_symlink(each) for each in on_the_way) or path.startswith(STORES):
            return False
        return not root.exists(f"{self.profile}{path}")
