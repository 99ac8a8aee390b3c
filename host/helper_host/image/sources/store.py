"""A name in the image store

The name is a file there, or a file there without its suffix: `debian-12` finds `debian-12.qcow2`, and with
image_format=vmdk rather `debian-12.vmdk`. Where the settings say so (image_subfolders) a name may have folders in it.
"""

from __future__ import annotations

import re

from helper_host.errors import ProviderError
from helper_host.image.content import FileContent
from helper_host.image.integrity.base import Integrity
from helper_host.image.sources.base import Places, Source, bad, open_regular

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@~-]{0,199}")
"""No slash, no leading dot or dash, nothing a shell or a log would stumble over."""
DEPTH_MAX = 16

SUFFIXES = ("", ".raw", ".qcow2", ".img")
DESCRIPTION = ".toml"
LISTED_MAX = 1000
"""Files of a store that are looked at for a hint."""


def check(reference: str) -> None:
    """The name's syntax"""
    parts = reference.split("/")
    if len(parts) > DEPTH_MAX or not all(map(NAME.fullmatch, parts)):
        raise bad(reference, "is not a name for an image (letters, digits and . _ + @ ~ -)")


def open_name(reference: str, places: Places, _integrity: Integrity) -> FileContent:
    """The first file that the name fits"""
    check(reference)
    if "/" in reference and not places.subfolders:
        raise ProviderError(
            "E-PARAMETER",
            f"image={reference} has a folder in it, and names in the image store have none on this node",
            "put the image into the store itself, or set image_subfolders in the settings",
        )
    suffixes = tuple(dict.fromkeys(("", places.suffix, *SUFFIXES)))
    for suffix in suffixes:
        try:
            return open_regular(places.store, reference + suffix, reference)
        except FileNotFoundError:
            continue
    close = _alike(reference, places.store)
    hint = f"did you mean {close}? See what is there" if close else "put it there, or see what is there"
    raise ProviderError(
        "E-IMAGE-MISSING",
        f"There is no image {reference} in {places.store} (nor with one of {', '.join(suffixes[1:])})",
        f"{hint}: ls {places.store}",
    )


def _alike(reference: str, store: str) -> str:
    """The name in the store that was meant perhaps, "" for none: with a suffix that can't be left out, or misspelled"""
    import difflib
    import itertools
    import os

    try:
        with os.scandir(store) as entries:
            files = sorted(
                entry.name
                for entry in itertools.islice(entries, LISTED_MAX)
                if NAME.fullmatch(entry.name) and entry.is_file() and not entry.name.endswith(DESCRIPTION)
            )
    except OSError:
        return ""
    longer = [name for name in files if name.startswith(f"{reference}.")]
    short = [name.removesuffix(suffix) for suffix in SUFFIXES[1:] for name in files if name.endswith(suffix)]
    return next(iter(longer or difflib.get_close_matches(reference, [*short, *files], 1)), "")


SOURCE = Source(
    name="store",
    matches=lambda _reference: True,
    check=check,
    open=open_name,
    help="a name in the image store, with or without .raw, .qcow2 or .img",
)
