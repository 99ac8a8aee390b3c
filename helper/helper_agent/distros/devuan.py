"""Devuan: Debian without systemd"""

from __future__ import annotations

from helper_agent.distros.debian import Debian


class Devuan(Debian):
    """Devuan 2 and later"""

    renderers = ("ifupdown", "networkmanager", "dhcpcd")
    keyboard_files = ("/etc/default/keyboard",)


DISTRO = Devuan
