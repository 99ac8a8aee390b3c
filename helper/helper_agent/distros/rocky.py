"""Rocky Linux"""

from __future__ import annotations

from helper_agent.distros.redhat import RedHat


class Rocky(RedHat):
    """Release 6 and later"""


DISTRO = Rocky
