"""Amazon Linux: 1 as Red Hat's 6, 2 as its 7, and 2023, made from Fedora, with networkd"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.distros.redhat import RedHat

RELEASES = {"2": "7", "2023": "9"}
"""Version -> release of Red Hat's that it is like; all others are of the first Linux, such as 2018.03."""


class Amazon(RedHat):
    """Amazon Linux 1 (2018.03), 2 and 2023"""

    def __init__(self, os_release: Mapping[str, str]) -> None:
        version = os_release.get("VERSION_ID", "")
        year = version.partition(".")[0]
        like = RELEASES.get(year, "6" if year.isdigit() and int(year) < 2023 else "10")
        super().__init__({**os_release, "VERSION_ID": like, "PLATFORM_ID": ""})
        self.version = version
        if like == "7":
            self.renderers = ("ifcfg", "networkd")
            self.zone_key = ("/etc/sysconfig/clock", "ZONE")
        elif like != "6":
            self.renderers = ("networkd", "networkmanager")


DISTRO = Amazon
