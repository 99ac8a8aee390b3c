"""What an image is and how it becomes the disk's bytes: one file and one row each"""

from __future__ import annotations

from helper_host.errors import ProviderError
from helper_host.image.formats.base import Extent, Format, Packed, Reader, refused
from helper_host.image.formats.magic import COMPRESSED, formats_at_end, formats_at_start, formats_in, joined

__all__ = [
    "FORMATS",
    "Extent",
    "Format",
    "Packed",
    "Reader",
    "check_declared",
    "decide",
    "formats_at_end",
    "formats_at_start",
    "joined",
    "open_reader",
]

FORMATS: tuple[Format, ...] = (
    Format("raw", "RawReader", "the disk's bytes as they are"),
    Format("qcow2", "Qcow2Reader", "QEMU's format, without backing or data file"),
    Format("vmdk", "VmdkReader", "VMware's format, one file: createType monolithicSparse or streamOptimized"),
    Format("vdi", "VdiReader", "VirtualBox's format, dynamic or fixed, not based on another image"),
    Format("vhd", "VhdReader", "Virtual PC's and Azure's format, fixed or dynamic"),
    Format("vhdx", "VhdxReader", "Hyper-V's format, fixed or dynamic, not based on another image"),
)


def open_reader(fd: int, size: int, name: str) -> Reader:
    """A reader for the image in `fd`; `name` is a format's name or `auto`

    Raises:
        ProviderError: E-IMAGE-REFUSED, and E-PARAMETER for a name that is no format
    """
    try:
        found = formats_in(fd, size)
        if name == "auto":
            name = decide(found)
        else:
            check_declared(name, found)
        return next(row for row in FORMATS if row.name == name).open(fd, size)
    except OSError as error:
        raise refused(f"The image can't be read ({error.strerror})", "look at its storage") from None


def decide(found: tuple[str, ...]) -> str:
    """The format, by what `formats_at_start` and `formats_at_end` found; raw only where there is nothing at all

    Raises:
        ProviderError: E-IMAGE-REFUSED: it looks like several, or like one that isn't read here
    """
    if not found:
        return "raw"
    if len(found) > 1:
        raise _ambiguous(found)
    if found[0] in (row.name for row in FORMATS):
        return found[0]
    if found[0] in COMPRESSED:
        raise refused(f"The image is compressed ({found[0]})", "unpack it first, or give image_format=raw")
    if found[0] == "html":
        raise refused(
            "The image looks like html, a web page",
            "see whether the URL leads to the image itself; if these are a disk's bytes nevertheless, give "
            "image_format=raw",
        )
    if found[0] == "iso":
        raise refused(
            "The image looks like iso, which is not read here",
            "install from it by hand: gnt-instance start -H cdrom_image_path=PATH; if these are a disk's bytes "
            "nevertheless, give image_format=raw",
        )
    raise refused(
        f"The image looks like {found[0]}, which is not read here",
        "convert it (qemu-img convert -O qcow2); if these are a disk's bytes nevertheless, give image_format=raw",
    )


def check_declared(name: str, found: tuple[str, ...]) -> None:
    """Whether what was found agrees with a format that somebody declared; raw agrees with everything

    Raises:
        ProviderError: E-IMAGE-REFUSED, and E-PARAMETER for a name that is no format
    """
    if name not in (row.name for row in FORMATS):
        known = ", ".join(["auto", *(row.name for row in FORMATS)])
        raise ProviderError("E-PARAMETER", f"image_format={name} is not known", f"give one of {known}")
    if name != "raw" and set(found) - {name}:
        if len(found) > 1:
            raise _ambiguous(found)
        raise refused(
            f"The image is not {name} but looks like {found[0]}", "give the image_format it has, or image_format=auto"
        )


def _ambiguous(found: tuple[str, ...]) -> Exception:
    return refused(
        f"The image looks like several formats at once ({', '.join(found)})",
        "if these are a disk's bytes nevertheless, give image_format=raw",
    )
