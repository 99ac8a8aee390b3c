"""What a value of `image_format` means

A name is that of a format, or of what others call it, and may have a compression behind a plus: `raw+gz`, `qcow2+xz`.
Whoever gives a name gets what it says and no guessing: `raw` is the file's bytes as they are, even if they look like
gzip. `auto` leaves all of it to looking at the bytes.
"""

from __future__ import annotations

from typing import NamedTuple

AUTO = "auto"
GZIP, BZIP2, XZ, ZSTD = "gzip", "bzip2", "xz", "zstd"
LINUX, NTFS = "linux", "ntfs"

COMPRESSIONS = {
    "gz": GZIP,
    "gzip": GZIP,
    "bz2": BZIP2,
    "bzip2": BZIP2,
    "xz": XZ,
    "zst": ZSTD,
    "zstd": ZSTD,
}
"""What may follow the plus, and the one name that we have for it."""


class Declared(NamedTuple):
    """What is said of an image before anybody has looked at it"""

    format: str | None
    """A row of `formats.FORMATS`, of what remains when it is unpacked; None: by looking at it."""
    compression: str | None
    """gzip, bzip2, xz, zstd; "": the file is not compressed; None: by looking at it."""
    filesystem: str
    """linux or ntfs: it is one bare filesystem, to be put into a partition; "": it is a whole disk, or nobody said."""


NAMES = {
    "raw": Declared("raw", "", ""),
    "qcow2": Declared("qcow2", "", ""),
    "vmdk": Declared("vmdk", "", ""),
    "vdi": Declared("vdi", "", ""),
    "vhd": Declared("vhd", "", ""),
    "vpc": Declared("vhd", "", ""),  # what QEMU calls it
    "vhdx": Declared("vhdx", "", ""),
    "diskdump": Declared("raw", "", ""),  # this one and the next two are snf-image's
    "extdump": Declared("raw", "", LINUX),
    "ntfsdump": Declared("raw", "", NTFS),
}
"""What may precede the plus, or stand alone."""

HELP = f"{AUTO}, {', '.join(NAMES)}, each but the first with +gz, +bz2, +xz or +zst behind it where it is compressed"
"""For people."""


def parse(text: str) -> Declared:
    """What a name means; capital letters are as good as small ones

    Raises:
        ValueError: there is no such name
    """
    name = text.strip().lower()
    if name == AUTO:
        return Declared(None, None, "")
    base, plus, packed = name.partition("+")
    if base not in NAMES or (plus and packed not in COMPRESSIONS):
        raise ValueError(f"no format is called {name!r}")
    return NAMES[base]._replace(compression=COMPRESSIONS[packed]) if plus else NAMES[base]


def shown(image_format: str, compression: str | None) -> str:
    """What people call it: qcow2, raw+gzip"""
    return f"{image_format}+{compression}" if compression else image_format
