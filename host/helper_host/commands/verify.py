"""verify: check the OS parameters that are there

Ganeti calls it with an instance's parameters, and with a cluster's defaults alone: no instance, nothing complete. So
each value is checked for itself, without settings, files or network.
"""

from __future__ import annotations

from collections.abc import Mapping

from helper_host.ganeti import parameters


def run(environ: Mapping[str, str]) -> None:
    """Check

    Raises:
        ProviderError: E-PARAMETER
    """
    parameters.parse(environ)
