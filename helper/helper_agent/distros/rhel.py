"""Red Hat Enterprise Linux, and rebuilds that have no file of their own"""

from __future__ import annotations

from helper_agent.distros.redhat import RedHat


class Rhel(RedHat):
    """Release 6 and later"""


DISTRO = Rhel
