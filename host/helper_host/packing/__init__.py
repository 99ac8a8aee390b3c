"""Files of the node that go into an image: packed as tar archives, which the helper unpacks"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from helper_host.ganeti.parameters import Parameters
    from helper_host.settings import Settings

OVERLAY, FILES = "overlay", "files"
"""The tasks that unpack them."""
OPTION = "archive"


def contents(parameters: Parameters, settings: Settings, wanted: Collection[str]) -> dict[str, dict[str, Any]]:
    """Options of those of the tasks `wanted` that unpack something: task -> option -> archive

    Raises:
        ProviderError: E-PARAMETER, E-SETTINGS: something is not there, may not be used, or is too large
    """
    found: dict[str, dict[str, Any]] = {}
    if OVERLAY in wanted and parameters.overlay:
        from helper_host.packing import overlay

        if archive := overlay.pack(parameters.overlay, settings.overlay_folder):
            found[OVERLAY] = {OPTION: archive}
    if FILES in wanted and parameters.values.keys() & names():
        from helper_host.packing import files

        if archive := files.pack(parameters, settings):
            found[FILES] = {OPTION: archive}
    return found


def names() -> set[str]:
    """OS parameters that name files"""
    from helper_host.ganeti.parameters.files import FileRows
    from helper_host.ganeti.parameters.row import Parameter

    return {
        name for name, row in vars(FileRows).items() if isinstance(row, Parameter) and f"{FILES}.{OPTION}" in row.sets
    }
