"""What all tables here have in common: where partition 1 starts, and what it can hold"""

from __future__ import annotations

from typing import NamedTuple

SECTOR = 512
START = 2048
"""First sector of partition 1: at 1 MiB, where all tools of today align, and where snf-image's extdump has it."""
BOOT_SIGNATURE = b"\x55\xaa"
SECTORS_MAX = 2**32 - 1
"""Sectors of a disk that an msdos table can describe: starts and sizes are 32 bits."""
MSDOS_MAX = SECTORS_MAX * SECTOR
"""Bytes of such a disk, a sector less than 2 TiB."""


class Kind(NamedTuple):
    """What a partition is said to hold"""

    msdos: int
    """Type in an msdos table."""
    gpt: str
    """Type GUID in a GPT."""


LINUX = Kind(0x83, "0fc63daf-8483-4772-8e79-3d69d8477de4")
WINDOWS = Kind(0x07, "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
"""NTFS; "Microsoft basic data"."""
