"""Slackware: BSD-like scripts, the whole name in a file of its own, lilo or grub"""

from __future__ import annotations

from helper_agent.distros.base import Distro


class Slackware(Distro):
    """Slackware 13 and later"""

    known = True
    hostname_file = "/etc/HOSTNAME"
    hostname_is_fqdn = True
    renderers = ("slackware", "networkmanager")
    sshd_services = ("sshd",)
    admin_groups = ("wheel",)
    locale_files = ("/etc/profile.d/lang.sh",)
    keyboard_files = ("/etc/rc.d/rc.keymap",)


DISTRO = Slackware
