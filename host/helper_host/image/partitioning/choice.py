"""Which table goes around an image, if any"""

from __future__ import annotations

from helper_host.image.formats import names
from helper_host.image.frame import Frame
from helper_host.image.partitioning.gpt import Gpt
from helper_host.image.partitioning.layout import LINUX, MSDOS_MAX, WINDOWS, Kind
from helper_host.image.partitioning.msdos import Msdos

NO, YES, MSDOS, GPT = "no", "yes", "msdos", "gpt"
CHOICES = (NO, YES, MSDOS, GPT)
KINDS = {names.LINUX: LINUX, names.NTFS: WINDOWS}
WHOLE = "diskdump"
"""The one format that is a whole disk by its name."""


def check(partition: str, image_format: str) -> None:
    """Whether the two can be right together

    Raises:
        ValueError: the text follows what is the value of `partition`
    """
    if partition == NO and names.parse(image_format).filesystem:
        raise ValueError(f"contradicts {image_format}, which is one filesystem")
    if partition not in ("", NO) and image_format.partition("+")[0] == WHOLE:
        raise ValueError(f"contradicts {image_format}, which is a whole disk")


def choose(partition: str, image_format: str, disk: int) -> Frame | None:
    """The frame for an image; None: it is a whole disk, or is to be the disk without a table

    Args:
        partition: one of CHOICES, "" where nothing was said
        image_format: as the user has declared it
        disk: bytes of the disk, to whose end the partition is going to grow
    """
    filesystem = names.parse(image_format).filesystem
    if not partition:
        # as snf-image, whose bootable images these are; of a disk of more than 2 TiB the rest stays unused
        partition = MSDOS if filesystem else NO
    return None if partition == NO else _frame(partition, KINDS.get(filesystem, LINUX), disk)


def _frame(partition: str, kind: Kind, disk: int) -> Frame:
    return Msdos(kind) if partition == MSDOS or (partition == YES and disk <= MSDOS_MAX) else Gpt(kind)
