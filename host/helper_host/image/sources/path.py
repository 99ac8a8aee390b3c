"""An absolute path in one of the folders that the settings allow"""

from __future__ import annotations

import os

from helper_host.errors import ProviderError
from helper_host.image.content import FileContent
from helper_host.image.integrity.base import Integrity
from helper_host.image.sources.base import Places, Source, bad, open_regular

PATH_MAX = 4095


def check(reference: str) -> None:
    """The path's syntax"""
    if "\0" in reference or len(os.fsencode(reference)) > PATH_MAX:
        raise bad(reference[:80], "is not a path")
    if ".." in reference.split("/"):
        raise bad(reference, "has .. in it")


def open_path(reference: str, places: Places, _integrity: Integrity) -> FileContent:
    """The file, if an allowed folder holds it

    Whether anything exists outside of the allowed folders is not told.
    """
    check(reference)
    path = os.path.normpath("/" + reference.lstrip("/"))
    for folder in places.folders:
        prefix = os.path.normpath(folder).rstrip("/") + "/"
        if not path.startswith(prefix):
            continue
        try:
            return open_regular(folder, path[len(prefix) :], reference)
        except FileNotFoundError:
            raise ProviderError(
                "E-IMAGE-MISSING", f"image={reference} does not exist on this node", "look at its spelling"
            ) from None
    allowed = ", ".join(dict.fromkeys(places.folders)) or "none is set"
    raise ProviderError(
        "E-IMAGE-MISSING",
        f"image={reference} is not in a folder that images may come from ({allowed})",
        "put it there, or add its folder to image_folders in the settings",
    )


SOURCE = Source(
    name="path",
    matches=lambda reference: reference.startswith("/"),
    check=check,
    open=open_path,
    help="an absolute path in one of the allowed folders",
)
