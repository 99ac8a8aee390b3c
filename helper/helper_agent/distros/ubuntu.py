"""Ubuntu: as Debian, but netplan's files are what its images have; networkd or NetworkManager reads what it makes"""

from __future__ import annotations

from helper_agent.distros.debian import Debian


class Ubuntu(Debian):
    """Ubuntu 14.04 and later; before 17.10 it has ifupdown"""

    admin_groups = ("sudo", "admin")


DISTRO = Ubuntu
