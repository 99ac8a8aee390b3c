"""Which known formats a file's bytes look like

Used to refuse, never to choose a way of reading that nobody asked for: in `auto` a file has a format when it says so
and says nothing else, and is raw only when nothing is recognised in it. Offsets are from each format's own
documentation; the libmagic database and oslo.utils' format_inspector agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from helper_host.image.formats.base import SECTOR

HEAD = 0x8800
"""Bytes at the file's start that the signatures lie in; the farthest is ISO 9660's in its sector 16."""
TAIL = 2 * SECTOR
"""The same at its end."""


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
    # what many a server answers with instead of an image, and says that all is well
    *(Magic("html", 0, start) for start in (b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML")),
)

BOOT_SIGNATURE = b"\x55\xaa"

COMPRESSED = frozenset({"gzip", "bzip2", "xz", "zstd", "lz4", "zip"})


def formats_at_start(head: bytes) -> tuple[str, ...]:
    """Names of the formats that a file's first bytes (`HEAD` of them, unless it is shorter) have the signature of

    Each is there once, in the order of the table. A boot sector counts as one more (`mbr`) behind any of them: a raw
    disk may well have one, and so may a fixed VHD, whose signature is at its end. Nothing else has business to, but in
    what is compressed the two bytes may be there by chance.
    """
    found = _named(magic for magic in MAGICS if magic.offset >= 0 and head.startswith(magic.signature, magic.offset))
    if "qcow2" in found:
        found = tuple(name for name in found if name != "qcow")
    if set(found) - COMPRESSED and head.startswith(BOOT_SIGNATURE, SECTOR - len(BOOT_SIGNATURE)):
        return (*found, "mbr")
    return found


def formats_at_end(tail: bytes, size: int) -> tuple[str, ...]:
    """The same for the last bytes of a file of `size` bytes: `TAIL` of them or more, unless it is shorter"""
    if len(tail) < min(TAIL, size):
        raise ValueError(f"{len(tail)} bytes are too few to look at")
    return _named(
        magic
        for magic in MAGICS
        if -len(tail) <= magic.offset < 0 and tail.startswith(magic.signature, len(tail) + magic.offset)
    )


def formats_in(fd: int, size: int) -> tuple[str, ...]:
    """Both for a file that is there as a whole"""
    start = formats_at_start(os.pread(fd, HEAD, 0))
    return joined(start, formats_at_end(os.pread(fd, TAIL, max(size - TAIL, 0)), size))


def joined(start: tuple[str, ...], end: tuple[str, ...]) -> tuple[str, ...]:
    """What was found at both ends, each once"""
    return tuple(dict.fromkeys((*start, *end)))


def _named(magics: Iterable[Magic]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(magic.format for magic in magics))
