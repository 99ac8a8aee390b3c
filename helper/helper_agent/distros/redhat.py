"""What Red Hat Enterprise Linux and all that are rebuilt from it have in common

Fedora and Amazon Linux are younger branches of the same tree and change a few facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from helper_agent.distros.base import Distro


class RedHat(Distro):
    """Release 7 and later

    The hostname file holds the whole name, as the installer writes it, and no line of hosts has it: nsswitch.conf
    brings in nss-myhostname. NetworkManager reads the ifcfg files up to release 8, its own keyfiles are the form of
    release 9. Host keys belong to a group for ssh-keysign until release 9.
    """

    known = True
    hostname_is_fqdn = True
    own_address = ""
    renderers: tuple[str, ...] = ("networkmanager", "networkd")
    host_key_mode = 0o640
    host_key_group = "ssh_keys"
    sshd_services = ("sshd",)
    admin_groups = ("wheel",)

    def __init__(self, os_release: Mapping[str, str]) -> None:
        super().__init__(os_release)
        if platform := re.fullmatch(r"platform:(?:el|al)(\d+)", os_release.get("PLATFORM_ID", "")):
            self.base_version = platform[1]
        if self.before(9):
            self.renderers = ("ifcfg", "networkmanager", "networkd")
        if self.before(7):
            self._upstart()

    def _upstart(self) -> None:
        """Release 6 and Amazon's first Linux: upstart, settings in /etc/sysconfig"""
        self.hostname_file, self.hostname_key = "/etc/sysconfig/network", "HOSTNAME"
        self.own_address = "127.0.1.1"
        self.renderers = ("ifcfg",)
        self.host_key_mode, self.host_key_group = 0o600, ""
        self.zone_key = ("/etc/sysconfig/clock", "ZONE")
        self.locale_files = ("/etc/sysconfig/i18n",)
        self.keyboard_files = ("/etc/sysconfig/keyboard",)
