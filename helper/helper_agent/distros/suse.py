"""What openSUSE and SUSE Linux Enterprise have in common

YaST writes the whole name into the hostname file, and into hosts with 127.0.0.2. wicked is in charge of the network up
to release 15, NetworkManager after that; the image's content says what it runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.distros.base import Distro


class Suse(Distro):
    """Release 12 and later"""

    known = True
    hostname_is_fqdn = True
    own_address = "127.0.0.2"
    renderers: tuple[str, ...] = ("networkmanager", "wicked", "networkd")
    sshd_services = ("sshd",)
    admin_groups = ("wheel",)

    def __init__(self, os_release: Mapping[str, str]) -> None:
        super().__init__(os_release)
        if "micro" in self.id:
            # Counted on its own; transactional, with NetworkManager
            self.base_version = ""
        if self.before(16):
            self.renderers = ("wicked", "networkmanager", "networkd")
        if self.before(12):
            # SysV init, settings in /etc/sysconfig
            self.hostname_file = "/etc/HOSTNAME"
            self.zone_key = ("/etc/sysconfig/clock", "TIMEZONE")
            self.locale_files = ("/etc/sysconfig/language",)
            self.keyboard_files = ("/etc/sysconfig/keyboard",)
