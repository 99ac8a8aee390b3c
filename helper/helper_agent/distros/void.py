"""Void: runit, glibc or musl, settings in /etc/rc.conf"""

from __future__ import annotations

from helper_agent.distros.base import Distro


class Void(Distro):
    """Any day's"""

    known = True
    renderers = ("dhcpcd", "networkmanager")
    sshd_services = ("sshd",)
    admin_groups = ("wheel",)
    zone_key = ("/etc/rc.conf", "TIMEZONE")
    keyboard_files = ("/etc/rc.conf",)


DISTRO = Void
