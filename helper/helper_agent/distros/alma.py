"""AlmaLinux"""

from __future__ import annotations

from helper_agent.distros.redhat import RedHat


class Alma(RedHat):
    """Release 6 and later"""


DISTRO = Alma
