"""CentOS and CentOS Stream"""

from __future__ import annotations

from helper_agent.distros.redhat import RedHat


class CentOS(RedHat):
    """Release 6 and later"""


DISTRO = CentOS
