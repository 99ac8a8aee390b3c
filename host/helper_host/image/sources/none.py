"""`none`, which snf-image calls `null`: no image; what is on the disk gets customised"""

from __future__ import annotations

from helper_host.image.sources.base import Source

NAMES = ("none", "null")

SOURCE = Source(
    name="none",
    matches=lambda reference: reference in NAMES,
    check=lambda _reference: None,
    open=lambda _reference, _places, _integrity: None,
    help="none, to customise what is on the disk already",
)
