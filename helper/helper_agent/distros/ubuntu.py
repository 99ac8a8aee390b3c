"""Ubuntu: as Debian; netplan's files become networkd's at boot, so networkd is what its images run"""

from __future__ import annotations

from helper_agent.distros.debian import Debian


class Ubuntu(Debian):
    """Ubuntu 18.04 and later"""


DISTRO = Ubuntu
