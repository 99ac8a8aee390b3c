"""Arch Linux, and what rolls with it"""

from __future__ import annotations

from helper_agent.distros.base import Distro


class Arch(Distro):
    """Any day's; nothing is enabled unless the image's maker enabled it"""

    known = True
    renderers = ("networkd", "networkmanager", "dhcpcd")
    sshd_services = ("sshd",)
    admin_groups = ("wheel", "sudo")


DISTRO = Arch
