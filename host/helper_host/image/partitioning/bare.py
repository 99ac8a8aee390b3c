"""Whether an image is what it is said to be: one bare filesystem, and no disk with partitions"""

from __future__ import annotations

import struct

from helper_host.image.formats.base import refused
from helper_host.image.partitioning.layout import BOOT_SIGNATURE
from helper_host.image.partitioning.msdos import ENTRIES

PEEK = 4096 + 8
"""Bytes at an image's start that `check` wants."""
GPT_SIGNATURE = b"EFI PART"
GPT_PLACES = (512, 4096)
"""Its header is in the second sector, of either size."""
JUMPS = (b"\xe9", b"\xeb")
"""What boot sectors begin with that have data before their code."""
VOLUMES = (b"NTFS    ", b"EXFAT   ")
FATS = ((54, b"FAT12"), (54, b"FAT16"), (54, b"FAT  "), (82, b"FAT32"))


def check(head: bytes) -> None:
    """Refuse an image that has a partition table

    Not asked of formats that are one filesystem by their name, nor where a person has said that it is raw: any bytes
    may be in front of a filesystem.

    Args:
        head: the first `PEEK` bytes of what is to become the partition, fewer if there are no more

    Raises:
        ProviderError: E-IMAGE-REFUSED
    """
    table = "GPT" if _has_gpt(head) else "msdos" if _has_msdos(head) else ""
    if table:
        raise refused(
            f"The image has a partition table ({table}), and a table around it is asked for (partition)",
            "give partition=no; if it is one filesystem nevertheless, give image_format=raw",
        )


def _has_gpt(head: bytes) -> bool:
    return any(head.startswith(GPT_SIGNATURE, place) for place in GPT_PLACES)


def _has_msdos(head: bytes) -> bool:
    """Whether it has entries that make sense: boot sectors of filesystems have the same signature, and code there"""
    if head[510:512] != BOOT_SIGNATURE or _is_volume(head):
        return False
    rows = [struct.unpack_from("<B3xB3xII", head, at) for at in range(ENTRIES, 510, 16)]
    starts = [start for _, kind, start, size in rows if kind and size]
    return bool(starts) and all(starts) and all(status in (0, 0x80) for status, *_ in rows)


def _is_volume(head: bytes) -> bool:
    """NTFS, exFAT or FAT, whose boot sector may have anything where a table would be"""
    return head.startswith(JUMPS) and (
        head[3:11] in VOLUMES or any(head.startswith(name, place) for place, name in FATS)
    )
