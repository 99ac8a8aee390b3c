"""From the OS parameters to what an image's file has to satisfy"""

from __future__ import annotations

from helper_host.ganeti.parameters import Parameters
from helper_host.image.integrity.base import NOTHING, Integrity


def resolve(parameters: Parameters) -> Integrity:
    """The checks that the parameters ask for"""
    checksum = parameters.image_checksum
    if checksum is None:
        return NOTHING
    return Integrity((checksum,), checksum.digest if checksum.algorithm == "sha256" else "")
