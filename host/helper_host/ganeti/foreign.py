"""Values of OS parameters as other OS providers have them: where they mean something else than ours"""

from __future__ import annotations

from helper_host.ganeti import values
from helper_host.ganeti.values import Invalid

SNF_FORMATS = ("diskdump", "extdump", "ntfsdump")
SIMPLE_TYPES = ("raw", "raw+gz", "raw+bz2", "raw+bzip2", "raw+xz", "qcow2")
"""raw+bzip2 is what its manual says, raw+bz2 what its code takes."""
STORE_URL = "local://"
OLD_STORE_URL = "file://"
"""For snf-image a name in the image store as well; for everybody else a file's URL, with a third slash."""


def img_id(text: str) -> str:
    """snf-image's img_id: a name in the image store with or without local://, a URL, or null"""
    reference = text.strip()
    if reference.startswith(OLD_STORE_URL) and not reference.startswith("/", len(OLD_STORE_URL)):
        reference = STORE_URL + reference[len(OLD_STORE_URL) :]
    return values.image(reference)


def img_format(text: str) -> str:
    """snf-image's img_format"""
    return _one_of(text, SNF_FORMATS, "image_format")


def image_type(text: str) -> str:
    """instance-simpleimage's image_type"""
    return _one_of(text, SIMPLE_TYPES, "image_format")


def _one_of(text: str, names: tuple[str, ...], ours: str) -> str:
    name = text.strip()
    if name not in names:
        raise Invalid("is not known", f"give one of {', '.join(names)}; {ours} knows more")
    return values.image_format(name)
