"""SUSE Linux Enterprise: Server, Desktop, for SAP and HPC, Micro"""

from __future__ import annotations

from helper_agent.distros.suse import Suse


class Sles(Suse):
    """Release 11 and later"""


DISTRO = Sles
