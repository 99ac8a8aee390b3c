"""The corpus of bad image files: each would give away a file of the node, or harm it, if somebody believed it

Made on demand, never kept as files. `{canary}` is the path of a file on the node that no image may get at.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from typing import NamedTuple

from . import blocks
from .blocks import descriptor, vdi, vhd, vhd_fixed, vhdx, vmdk, vmdk_stream
from .builders import CLUSTER, COPIED, DATA_FILE, MIB, extension, qcow2

TIB = 1 << 40
DATA_FILE_NAME, BACKING_FORMAT, LUKS_HEADER = 0x44415441, 0xE2792ACA, 0x0537BE77
REFUSED, SMALL = "E-IMAGE-REFUSED", "E-DISK-SMALL"


class Case(NamedTuple):
    """One bad file"""

    name: str
    make: Callable[[bytes], bytes]
    """Takes the canary's path."""
    format: str
    """What it claims to be."""
    words: str
    """In the message."""
    code: str = REFUSED


def backed(name: bytes, *extensions: bytes) -> bytes:
    """A qcow2 image with a backing file"""
    known = b"".join(extensions) + bytes(8)
    return qcow2(backing=112 + len(known), backing_size=len(name), extensions=known + name, l2={})


def on_iso(image: bytes) -> bytes:
    """With the signature of ISO 9660 in sector 16"""
    return image[:0x8001] + b"CD001" + image[0x8006:]


def with_mbr(image: bytes) -> bytes:
    return image[:510] + b"\x55\xaa" + image[512:]


def qed(canary: bytes) -> bytes:
    """QED's header with a backing file (docs/interop/qed_spec.txt)"""
    head = struct.pack("<4sIIIQQQQQII", b"QED\0", 65536, 4, 1, 1, 0, 0, 65536, 4 * MIB, 72, len(canary)) + canary
    return head.ljust(MIB, b"\0")


def text_descriptor(extents: str, kind: str) -> bytes:
    return descriptor(kind=kind, extents=extents).ljust(MIB, b"\n")


CASES = (
    Case(
        "qcow2 data file",
        lambda c: qcow2(incompatible=DATA_FILE, extensions=extension(DATA_FILE_NAME, c)),
        "qcow2",
        "data file",
    ),
    Case(
        "qcow2 data file's name alone", lambda c: qcow2(extensions=extension(DATA_FILE_NAME, c)), "qcow2", "data file"
    ),
    Case("qcow2 data file's bit alone", lambda c: qcow2(incompatible=DATA_FILE), "qcow2", "data file"),
    Case("qcow2 backing path", backed, "qcow2", "backing file"),
    Case(
        "qcow2 backing path, format raw",
        lambda c: backed(c, extension(BACKING_FORMAT, b"raw")[:-8]),
        "qcow2",
        "backing file",
    ),
    Case(
        "qcow2 backing json:",
        lambda c: backed(b'json:{"driver":"raw","file":{"driver":"file","filename":"' + c + b'"}}'),
        "qcow2",
        "backing file",
    ),
    Case("qcow2 backing nbd:", lambda c: backed(b"nbd://127.0.0.1:10809/"), "qcow2", "backing file"),
    Case(
        "qcow2 version 2 with backing file",
        lambda c: qcow2(version=2, backing=80, backing_size=len(c), extensions=bytes(8) + c),
        "qcow2",
        "backing file",
    ),
    Case("qcow2 unknown bit", lambda c: qcow2(incompatible=1 << 33), "qcow2", "not known"),
    Case("qcow2 huge L1", lambda c: qcow2(l1_size=0x7FFFFFFF), "qcow2", "absurdly large"),
    Case(
        "qcow2 one table often",
        lambda c: qcow2(
            cluster_bits=12,
            l1_size=2,
            l1=(COPIED | 4 * CLUSTER,) * 2,
            l2=dict.fromkeys(range(512), COPIED | 5 * CLUSTER),
        ),
        "qcow2",
        "more data",
    ),
    Case(
        "qcow2 encrypted", lambda c: qcow2(crypt=2, extensions=extension(LUKS_HEADER, bytes(16))), "qcow2", "encrypted"
    ),
    Case(
        "qcow2 bomb of 60 TB",
        lambda c: qcow2(size=60 * TIB, l1_size=122880, l1=(0,) * 122880, l2={}),
        "qcow2",
        "needs a disk of",
        SMALL,
    ),
    Case("qcow2 truncated", lambda c: qcow2()[:-CLUSTER], "qcow2", "past its end"),
    Case("qcow version 1", lambda c: qcow2(version=1), "qcow2", "qcow"),
    Case("qcow2 and ISO", lambda c: on_iso(qcow2()), "qcow2", "several formats"),
    Case("qcow2 and boot sector", lambda c: with_mbr(qcow2()), "qcow2", "several formats"),
    Case("qcow2 and fixed vhd", lambda c: vhd_fixed(qcow2()), "vhd", "several formats"),
    Case(
        "vmdk flat, a text",
        lambda c: text_descriptor(f'RW 8 FLAT "{c.decode()}" 0', "monolithicFlat"),
        "vmdk",
        "holds the disk's data",
    ),
    Case(
        "vmdk of ESX, a text",
        lambda c: text_descriptor(f'RW 8 VMFS "{c.decode()}" 0', "vmfs"),
        "vmdk",
        "holds the disk's data",
    ),
    Case(
        "vmdk flat, in the descriptor",
        lambda c: vmdk(text=descriptor(extents=f'RW 6144 FLAT "{c.decode()}" 0')),
        "vmdk",
        "other extents",
    ),
    Case(
        "vmdk of no size, only descriptor",
        lambda c: vmdk(capacity=0, text=descriptor(kind="monolithicFlat", extents=f'RW 8 FLAT "{c.decode()}" 0')),
        "vmdk",
        "0 sectors",
    ),
    Case(
        "vmdk in pieces",
        lambda c: vmdk(text=descriptor(kind="twoGbMaxExtentSparse", extents=f'RW 6144 SPARSE "{c.decode()}"')),
        "vmdk",
        "neither",
    ),
    Case(
        "vmdk parent",
        lambda c: vmdk(text=descriptor(parent="0a0b0c0d", more=f'parentFileNameHint="{c.decode()}"')),
        "vmdk",
        "lead to other files",
    ),
    Case(
        "vmdk whose footer has another descriptor",
        lambda c: vmdk_stream(footer={"descriptor_at": 30}),
        "vmdk",
        "differ",
    ),
    Case("vmdk whose footer has no size", lambda c: vmdk_stream(footer={"capacity": 0}), "vmdk", "differ"),
    Case("vmdk and ISO", lambda c: on_iso(vmdk()), "vmdk", "several formats"),
    Case("vdi differencing", lambda c: vdi(kind=4, parent=b"\7" * 16), "vdi", "based on another"),
    Case(
        "vdi bomb of 900 TB",
        lambda c: vdi(
            size=900 * TIB,
            block=256 * MIB,
            blocks=900 << 12,
            entries=(0xFFFFFFFF,) * (900 << 12),
            data_offset=16 * MIB,
            data=b"",
        ),
        "vdi",
        "needs a disk of",
        SMALL,
    ),
    Case("vhd differencing", lambda c: vhd(kind=4, parent=c.decode().encode("utf-16-be")), "vhd", "based on another"),
    Case("vhd that names a parent", lambda c: vhd(parent=c.decode().encode("utf-16-be")), "vhd", "names a parent"),
    Case("vhdx parent", lambda c: vhdx(flags=2, items=((blocks.PARENT, 65536, 64, 4),)), "vhdx", "based on another"),
    Case(
        "vhdx log to be replayed",
        lambda c: vhdx(headers=(blocks.vhdx_header(1), blocks.vhdx_header(2, log=b"\1" * 16))),
        "vhdx",
        "log is not empty",
    ),
    Case("qed with backing file", qed, "qed", "qed, which is not read"),
    Case("luks", lambda c: b"LUKS\xba\xbe\0\1aes".ljust(MIB, b"\0"), "luks", "luks, which is not read"),
    Case("ISO with boot sector", lambda c: with_mbr(on_iso(bytes(MIB))), "iso", "several formats"),
    Case("lz4", lambda c: b"\x04\x22\x4d\x18".ljust(MIB, b"\1"), "lz4", "compressed"),
    Case("gzip in gzip", lambda c: gzip.compress(gzip.compress(bytes(MIB))), "gzip", "compressed"),
    Case("empty", lambda c: b"", "raw", "too few"),
    Case("one byte", lambda c: b"Q", "raw", "too few"),
)
