"""Fedora: what the next release of Red Hat's will be like"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.distros.redhat import RedHat


class Fedora(RedHat):
    """Fedora 20 and later; NetworkManager's keyfiles are what it writes itself since 33"""

    def __init__(self, os_release: Mapping[str, str]) -> None:
        # Its numbers are no releases of Red Hat's: 20 is older than 7
        super().__init__({**os_release, "VERSION_ID": ""})
        self.version = self.base_version = os_release.get("VERSION_ID", "")
        if self.before(33):
            self.renderers = ("ifcfg", "networkmanager", "networkd")


DISTRO = Fedora
