"""Which known formats a file's bytes look like

Used to refuse, never to choose a way of reading that nobody asked for: in `auto` a file is qcow2 when it says so and
nothing else, and raw only when nothing is recognised in it. Offsets are from each format's own documentation; the
libmagic database and oslo.utils' format_inspector agree.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from helper_host.image.formats.base import SECTOR

HEAD = 0x8800
"""Bytes at the file's start that the signatures lie in; the farthest is ISO 9660's in its sector 16."""


class Magic(NamedTuple):
    """A signature at an offset; a negative one counts from the file's end"""

    format: str
    offset: int
    signature: bytes


MAGICS = (
    Magic("qcow2", 0, b"QFI\xfb\x00\x00\x00\x02"),
    Magic("qcow2", 0, b"QFI\xfb\x00\x00\x00\x03"),
    Magic("qcow", 0, b"QFI\xfb"),
    Magic("qed", 0, b"QED\0"),
    Magic("vmdk", 0, b"KDMV"),
    Magic("vmdk", 0, b"COWD"),
    Magic("vmdk", 0, b"# Disk Descriptor"),
    Magic("vmdk", -0x400, b"KDMV"),
    Magic("vdi", 0x40, b"\x7f\x10\xda\xbe"),
    Magic("vhdx", 0, b"vhdxfile"),
    Magic("vhd", 0, b"conectix"),
    Magic("vhd", -512, b"conectix"),
    Magic("vhd", -511, b"conectix"),
    Magic("luks", 0, b"LUKS\xba\xbe"),
    Magic("iso", 0x8001, b"CD001"),
    Magic("parallels", 0, b"WithoutFreeSpace"),
    Magic("parallels", 0, b"WithouFreSpacExt"),
    Magic("bochs", 0, b"Bochs Virtual HD Image"),
    Magic("cloop", 0, b"#!/bin/sh\n#V2.0 Format\n"),
    Magic("dmg", -512, b"koly"),
    Magic("gzip", 0, b"\x1f\x8b\x08"),
    Magic("bzip2", 0, b"BZh"),
    Magic("xz", 0, b"\xfd7zXZ\0"),
    Magic("zstd", 0, b"\x28\xb5\x2f\xfd"),
    Magic("lz4", 0, b"\x04\x22\x4d\x18"),
    Magic("zip", 0, b"PK\x03\x04"),
    Magic("tar", 257, b"ustar"),
)

BOOT_SIGNATURE = b"\x55\xaa"

COMPRESSED = frozenset({"gzip", "bzip2", "xz", "zstd", "lz4", "zip"})


def formats_in(fd: int, size: int) -> tuple[str, ...]:
    """Names of the formats whose signature is in the file, each once, in the order of the table"""
    head = os.pread(fd, HEAD, 0)
    tail_at = max(size - 2 * SECTOR, 0)
    tail = os.pread(fd, 2 * SECTOR, tail_at)
    found: list[str] = []
    for magic in MAGICS:
        if magic.offset >= 0:
            there = head.startswith(magic.signature, magic.offset)
        else:
            there = size + magic.offset >= tail_at and tail.startswith(magic.signature, size + magic.offset - tail_at)
        if there and magic.format not in found and not (magic.format == "qcow" and "qcow2" in found):
            found.append(magic.format)
    if found and head.startswith(BOOT_SIGNATURE, 510):
        found.append("mbr")  # a raw disk may well have one, anything else has no business to
    return tuple(found)
