"""From the OS parameters, the settings and the image's name to what the image's file has to satisfy

All of it is known, and all that can be wrong with it is refused, before the image itself is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.ganeti.parameters import Parameters
from helper_host.image import sources
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.integrity.checksum import Checksum
from helper_host.image.integrity.reference import Reference
from helper_host.image.sources import Places
from helper_host.settings import Settings


class Asked(NamedTuple):
    """What the parameters say"""

    checksum: Checksum | Reference | None
    """Itself, or the list that it is in."""
    signature: Reference | None
    """Over the list, where there is one, else over the image."""


def resolve(parameters: Parameters, settings: Settings, places: Places, report: Callable[[str], None]) -> Integrity:
    """The checks that the parameters and the node's policy ask for

    Args:
        report: gets lines for the log: who signed what

    Raises:
        ProviderError: E-IMAGE-UNVERIFIED there are too few, E-IMAGE-CHECKSUM, E-IMAGE-SIGNATURE they can't hold,
            E-IMAGE-MISSING, E-IMAGE-REFUSED, E-IMAGE-FETCH for files that say them, E-SETTINGS, E-NODE
    """
    if sources.source_of(parameters.image).name == "none":
        return NOTHING
    asked = _asked(parameters, settings)
    if isinstance(asked.checksum, Reference) or asked.signature is not None:
        # the usual deployment needs none of what comes along with it
        from helper_host.image.integrity.evidence import Evidence

        return Evidence(parameters.image, asked, settings, places, report).integrity()
    return of_checksum(asked.checksum) if asked.checksum is not None else NOTHING


def of_checksum(checksum: Checksum) -> Integrity:
    """What a checksum asks for"""
    return Integrity((checksum,), checksum.digest if checksum.algorithm == "sha256" else "")


def unverified(settings: Settings, what: str) -> ProviderError:
    """E-IMAGE-UNVERIFIED; `what` follows `this one`"""
    wanted = {
        "checksum": ("checksum or signature", "give image_checksum: sha256:HEX, or where a list of checksums is"),
        "signature": ("signature", "give image_signature: where the signature of the image or of the list is"),
    }
    kind, remedy = wanted[settings.require]
    return ProviderError(
        "E-IMAGE-UNVERIFIED", f"This node takes no image without a {kind}, and this one {what}", remedy
    )


def _asked(parameters: Parameters, settings: Settings) -> Asked:
    """E-IMAGE-UNVERIFIED where it can't be enough, whatever is found"""
    asked = Asked(parameters.image_checksum, parameters.image_signature)
    own = [parameters.given(name) for name in ("image_checksum", "image_signature")]
    if own == [True, False] and settings.require != "signature":
        # the settings' signature is over the settings' list, which the user has replaced
        asked = asked._replace(signature=None)
    if settings.require != "none" and asked == (None, None):
        raise unverified(settings, "has none")
    if settings.require == "signature" and asked.signature is None and isinstance(asked.checksum, Checksum):
        raise unverified(settings, "has a checksum only")
    return asked
