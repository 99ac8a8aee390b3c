"""openSUSE: Leap, Tumbleweed and its slower sister, MicroOS, Leap Micro"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.distros.suse import Suse


class OpenSuse(Suse):
    """13.2 and later: 13 and 42 are as SUSE Linux Enterprise's 12; of the rolling ones the version is a date"""

    def __init__(self, os_release: Mapping[str, str]) -> None:
        super().__init__(os_release)
        if self.base_version.startswith("42."):
            self.base_version = "12"
            self.renderers = ("wicked", "networkmanager", "networkd")


DISTRO = OpenSuse
