"""Debian, and what is built from it without changing the facts here"""

from __future__ import annotations

from helper_agent.distros.base import Distro


class Debian(Distro):
    """Debian 7 and later

    Where ifupdown is installed it is in charge, since Debian's installer puts it there; networkd is part of systemd's
    package and comes disabled, so an image in which it is enabled was made to use it.
    """

    known = True
    renderers: tuple[str, ...] = ("netplan", "networkd", "ifupdown", "networkmanager", "dhcpcd")
    sshd_services = ("ssh", "sshd")
    admin_groups = ("sudo", "wheel")
    zone_files = ("/etc/timezone",)
    # Debian 13 has the second, and the first as a link to it
    locale_files = ("/etc/default/locale", "/etc/locale.conf")
    keyboard_files: tuple[str, ...] = ("/etc/default/keyboard", "/etc/vconsole.conf")


DISTRO = Debian
