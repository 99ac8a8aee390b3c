"""Artix: Arch without systemd, with OpenRC, runit, dinit or s6"""

from __future__ import annotations

from helper_agent.distros.arch import Arch
from helper_agent.distros.openrc import MaybeOpenRC


class Artix(MaybeOpenRC, Arch):
    """Any day's"""

    renderers = ("networkmanager", "dhcpcd", "netifrc")


DISTRO = Artix
