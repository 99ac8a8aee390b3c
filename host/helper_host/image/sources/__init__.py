"""Where an image's bytes come from: one file and one row each"""

from __future__ import annotations

from helper_host.image.content import Content
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.sources import file, local, none, path, program, store, web
from helper_host.image.sources.base import Places, Source
from helper_host.image.sources.shown import shown

__all__ = ["SOURCES", "Places", "Source", "check", "open_reference", "shown", "source_of"]

SOURCES: tuple[Source, ...] = (
    none.SOURCE,
    path.SOURCE,
    file.SOURCE,
    local.SOURCE,
    web.SOURCE,
    program.SOURCE,
    store.SOURCE,
)
"""The first that matches a reference gets it; the store takes the rest."""


def source_of(reference: str) -> Source:
    """The source that a reference belongs to"""
    return next(source for source in SOURCES if source.matches(reference))


def check(reference: str) -> None:
    """Whether a reference can be right at all, without any I/O

    Raises:
        ProviderError: E-PARAMETER
    """
    source_of(reference).check(reference)


def open_reference(reference: str, places: Places, integrity: Integrity = NOTHING) -> Content | None:
    """The bytes of the image's file; None where there is no image to write

    Raises:
        ProviderError: E-PARAMETER, E-SETTINGS, E-IMAGE-MISSING, E-IMAGE-REFUSED, E-IMAGE-FETCH, E-CACHE
    """
    return source_of(reference).open(reference, places, integrity)
