"""Ubuntu: as Debian; netplan tells networkd on servers, and NetworkManager on desktops"""

from __future__ import annotations

from helper_agent.distros.debian import Debian


class Ubuntu(Debian):
    """Ubuntu 18.04 and later"""


DISTRO = Ubuntu
