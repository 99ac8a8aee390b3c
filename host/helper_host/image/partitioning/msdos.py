"""An msdos partition table with one partition, active, and our boot code

The layout is the PC's, in no standard: 440 bytes of code, the disk's signature, four entries of 16 bytes from 446 on,
55 AA.
"""

from __future__ import annotations

import os
import struct

from helper_host.image.formats.base import refused
from helper_host.image.partitioning.boot_code import BOOT_CODE
from helper_host.image.partitioning.layout import BOOT_SIGNATURE, LINUX, SECTOR, SECTORS_MAX, START, Kind

SIGNATURE = 440
ENTRIES = 446
ACTIVE = 0x80
HEADS, TRACK = 255, 63
"""The geometry that BIOSes give large disks; sectors of a track count from 1."""
CYLINDERS = 1024


class Msdos:
    """The frame around one filesystem; an `image.frame.Frame`"""

    name = "msdos"
    offset = START * SECTOR

    def __init__(self, kind: Kind = LINUX) -> None:
        self._kind = kind
        # Windows and Linux tell disks by it; 0 is none
        self._signature = 1 + int.from_bytes(os.urandom(4), "little") % SECTORS_MAX

    def head(self, size: int) -> bytes:
        """The first MiB; E-IMAGE-REFUSED for what ends behind 2 TiB"""
        sectors = size // SECTOR
        if START + sectors > SECTORS_MAX:
            raise refused(
                "The image is too large for an msdos partition table, which ends at 2 TiB", "give partition=gpt"
            )
        sector = bytearray(SECTOR)
        sector[: len(BOOT_CODE)] = BOOT_CODE
        struct.pack_into("<I", sector, SIGNATURE, self._signature)
        sector[ENTRIES : ENTRIES + 16] = entry(ACTIVE, self._kind.msdos, START, sectors)
        sector[510:] = BOOT_SIGNATURE
        return bytes(sector).ljust(self.offset, b"\0")

    def tail(self, size: int) -> bytes:  # noqa: ARG002
        """Nothing"""
        return b""


def entry(status: int, kind: int, start: int, sectors: int) -> bytes:
    """An entry of the table, numbers in sectors"""
    return struct.pack("<B3sB3sII", status, _chs(start), kind, _chs(start + sectors - 1), start, sectors)


def _chs(sector: int) -> bytes:
    """Head, sector and cylinder in three bytes; FE FF FF where they can't say it"""
    track, at = divmod(sector, TRACK)
    cylinder, head = divmod(track, HEADS)
    if cylinder >= CYLINDERS:
        return b"\xfe\xff\xff"
    return bytes((head, cylinder >> 2 & 0xC0 | at + 1, cylinder & 0xFF))
