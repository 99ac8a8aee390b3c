"""Oracle Linux; its own kernel makes no difference here"""

from __future__ import annotations

from helper_agent.distros.redhat import RedHat


class Oracle(RedHat):
    """Release 6 and later"""


DISTRO = Oracle
