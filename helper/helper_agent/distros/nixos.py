"""NixOS: what its configuration says comes back at every boot; accounts, keys and what it doesn't speak of stay"""

from __future__ import annotations

import re

from helper_agent.distros.store import Store
from helper_agent.root import Root


class NixOS(Store):
    """NixOS 20.09 and later"""

    profile = "/nix/var/nix/profiles/system"
    immutable = "NixOS makes the files below /etc from its configuration at every boot; set it there"

    def keeps_passwords(self, root: Root) -> bool:
        """See `Distro.keeps_passwords`: not where users.mutableUsers is false, by the file that activation reads"""
        activate = root.read_text_or(f"{self.profile}/activate")
        found = re.search(r"/nix/store/[\w.+-]*users-groups\.json", activate)
        users = root.read_text_or(found[0]) if found else ""
        return re.search(r'"mutableUsers"\s*:\s*false', users) is None


DISTRO = NixOS
