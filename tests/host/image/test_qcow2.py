"""qcow2: everything that must be refused, and what is read"""

from __future__ import annotations

import json
import struct
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import zstandard

from helper_host.errors import ProviderError
from helper_host.image.formats import Extent

from .builders import (
    CLUSTER,
    COMPRESSION,
    COPIED,
    CORRUPT,
    DATA_FILE,
    DIRTY,
    EXTENDED_L2,
    MIB,
    PACKED,
    deflated,
    extension,
    packed_entry,
    qcow2,
)
from .conftest import Opener, content_of, deploy, new_disk

DATA_FILE_NAME, ENCRYPTION, BACKING_FORMAT, FEATURES, BITMAPS = (
    0x44415441,
    0x0537BE77,
    0xE2792ACA,
    0x6803F857,
    0x23852875,
)


def refuse(opened: Opener, image: bytes, words: str) -> None:
    """Refused before a byte of a disk was written: when opened, or when its map is walked"""
    for image_format in ("auto", "qcow2"):
        with pytest.raises(ProviderError, match=f"E-IMAGE-REFUSED: .*{words}"):
            opened(image, image_format).check_map(threading.Event())


HEADERS: dict[str, tuple[dict[str, Any], str]] = {
    "version 1": ({"version": 1}, "qcow"),
    "version 4": ({"version": 4}, "qcow"),
    "version 0": ({"version": 0}, "qcow"),
    "backing file": ({"backing": 512, "backing_size": 10}, "backing file"),
    "backing file without length": ({"backing": 512}, "backing file"),
    "backing file, v2": ({"version": 2, "backing": 512, "backing_size": 10}, "backing file"),
    "AES": ({"crypt": 1}, "encrypted"),
    "LUKS": ({"crypt": 2}, "encrypted"),
    "unknown crypt": ({"crypt": 77}, "encrypted"),
    "cluster_bits 8": ({"cluster_bits": 8}, "clusters"),
    "cluster_bits 22": ({"cluster_bits": 22}, "clusters"),
    "cluster_bits 0": ({"cluster_bits": 0}, "clusters"),
    "cluster_bits huge": ({"cluster_bits": 2**32 - 1}, "clusters"),
    "data file": ({"incompatible": DATA_FILE}, "external data file"),
    "corrupt": ({"incompatible": CORRUPT}, "corrupt"),
    "unknown bit 5": ({"incompatible": 1 << 5}, "features"),
    "unknown bit 63": ({"incompatible": 1 << 63}, "features"),
    "compression bit without type": ({"incompatible": COMPRESSION}, "compression"),
    "compression type without bit": ({"compression": 1}, "compression"),
    "compression type unknown": ({"incompatible": COMPRESSION, "compression": 2}, "compression"),
    "subclusters too small": ({"incompatible": EXTENDED_L2, "cluster_bits": 13}, "subclusters"),
    "refcount order": ({"refcount_order": 7}, "refcounts"),
    "header length 0": ({"header_length": 0}, "header"),
    "header length 100": ({"header_length": 100}, "header"),
    "header length odd": ({"header_length": 109}, "header"),
    "header length huge": ({"header_length": 2**32 - 8}, "header"),
    "size 0": ({"size": 0}, "says its disk has 0 bytes"),
    "size odd": ({"size": 4 * MIB + 1}, "says its disk"),
    "size huge": ({"size": 2**63}, "says its disk"),
    "size max": ({"size": 2**64 - 512}, "says its disk"),
    "size beyond L1": ({"size": 1 << 40}, "L1 table is too small"),
    "L1 empty": ({"l1_size": 0}, "L1 table is too small"),
    "L1 huge": ({"l1_size": 2**32 - 1}, "L1 table is absurdly large"),
    "L1 misaligned": ({"l1_offset": 3 * CLUSTER + 8}, "L1 table is not inside"),
    "L1 at 0": ({"l1_offset": 0}, "L1 table is not inside"),
    "L1 outside": ({"l1_offset": 1 << 40}, "L1 table is not inside"),
    "L1 sticks out": ({"l1_offset": 5 * CLUSTER, "l1_size": 8193}, "L1 table is not inside"),
    "L1 near 2^64": ({"l1_offset": 2**64 - CLUSTER}, "L1 table is not inside"),
    "refcounts huge": ({"refcount_clusters": 2**32 - 1}, "refcount table"),
    "refcounts outside": ({"refcount_offset": 1 << 40}, "refcount table"),
    "refcounts misaligned": ({"refcount_offset": CLUSTER + 512}, "refcount table"),
    "refcounts at 0": ({"refcount_offset": 0}, "refcount table"),
    "data file's name": ({"extensions": extension(DATA_FILE_NAME, b"/etc/shadow")}, "external data file"),
    "encryption header": ({"extensions": extension(ENCRYPTION, bytes(16))}, "encrypted"),
    "extensions without end": ({"extensions": extension(BITMAPS, bytes(CLUSTER))}, "extensions"),
    "extension of 4 GiB": ({"extensions": struct.pack(">II", BITMAPS, 2**32 - 1)}, "extensions"),
    "hidden by another": (
        {"extensions": extension(FEATURES, b"x" * 9)[:-8] + extension(DATA_FILE_NAME, b"/x")},
        "external data file",
    ),
    "hidden in v2": ({"version": 2, "extensions": extension(DATA_FILE_NAME, b"/x")}, "external data file"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_header_is_refused(opened: Opener, case: str) -> None:
    changes, words = HEADERS[case]
    refuse(opened, qcow2(**changes), words)


MAPS: dict[str, tuple[dict[str, Any], str]] = {
    "L1 reserved low": ({"l1": (COPIED | 4 * CLUSTER | 1,)}, "reserved"),
    "L1 reserved high": ({"l1": (COPIED | 4 * CLUSTER | 1 << 60,)}, "reserved"),
    "L2 misaligned": ({"l1": (COPIED | 4 * CLUSTER + 512,)}, "L2 table"),
    "L2 outside": ({"l1": (COPIED | 1 << 40,)}, "L2 table"),
    "L2 at the end": ({"l1": (COPIED | 6 * CLUSTER,)}, "L2 table"),
    "data misaligned": ({"l2": {0: COPIED | 5 * CLUSTER + 512}}, "misaligned"),
    "data outside": ({"l2": {0: COPIED | 1 << 40}}, "past its end"),
    "data at the end": ({"l2": {0: COPIED | 6 * CLUSTER}}, "past its end"),
    "data cut off": ({"data": b"x" * (CLUSTER - 512)}, "past its end"),
    "reserved": ({"l2": {0: COPIED | 5 * CLUSTER | 2}}, "reserved"),
    "reserved high": ({"l2": {0: COPIED | 5 * CLUSTER | 1 << 57}}, "reserved"),
    "zero in v2": ({"version": 2, "l2": {0: 1}}, "reserved"),
    "packed outside": ({"l2": {0: packed_entry(1 << 40, 100)}}, "past its end"),
    "packed at 0": ({"l2": {0: PACKED}}, "past its end"),
    "one cluster many times": ({"l2": dict.fromkeys(range(20), COPIED | 5 * CLUSTER)}, "more data than"),
}


@pytest.mark.parametrize("case", MAPS)
def test_map_is_refused(opened: Opener, case: str) -> None:
    changes, words = MAPS[case]
    refuse(opened, qcow2(**changes), words)


@pytest.mark.parametrize("length", [4, 71, 103, 512, CLUSTER, 3 * CLUSTER + 7, 4 * CLUSTER + 100, 5 * CLUSTER + 100])
def test_truncated(opened: Opener, length: int) -> None:
    refuse(opened, qcow2()[:length], "")


@pytest.mark.parametrize("name", ["{path}", 'json:{{"file.filename":"{path}"}}', "nbd://localhost/x", "file:{path}"])
def test_backing_file_is_never_read(opened: Opener, tmp_path: Path, canary: Path, name: str) -> None:
    backing = name.format(path=canary).encode()
    image = bytearray(qcow2(backing=600, backing_size=len(backing), l2={}))
    image[600 : 600 + len(backing)] = backing
    disk = new_disk(tmp_path / "disk", 4 * MIB)
    with pytest.raises(ProviderError, match="backing file"):
        deploy(opened(bytes(image)), disk)
    assert b"CANARY" not in disk.read_bytes()


def test_data_file_is_never_read(opened: Opener, tmp_path: Path, canary: Path) -> None:
    for image in (
        qcow2(incompatible=DATA_FILE, extensions=extension(DATA_FILE_NAME, str(canary).encode()), l2={0: COPIED | 1}),
        qcow2(extensions=extension(DATA_FILE_NAME, json.dumps({"filename": str(canary)}).encode())),
    ):
        disk = new_disk(tmp_path / "disk", 4 * MIB)
        with pytest.raises(ProviderError, match="data file"):
            deploy(opened(image), disk)
        assert disk.read_bytes() == bytes(4 * MIB)


def test_plain(opened: Opener) -> None:
    image = opened(qcow2())
    assert (image.format, image.virtual_size) == ("qcow2", 4 * MIB)
    assert list(image.extents()) == [Extent(0, CLUSTER, 5 * CLUSTER), Extent(CLUSTER, 4 * MIB - CLUSTER, None)]
    assert content_of(image) == b"\xa5" * CLUSTER + bytes(4 * MIB - CLUSTER)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"header_length": 104},
        {"incompatible": DIRTY},
        {"extensions": extension(BACKING_FORMAT, b"raw")},
        {"extensions": extension(0x12345678, b"unknown, may be ignored")},
        {"l2": {0: 5 * CLUSTER}},  # not COPIED: an internal snapshot shares the cluster
    ],
    ids=str,
)
def test_harmless(opened: Opener, changes: dict[str, Any]) -> None:
    assert content_of(opened(qcow2(**changes)))[:CLUSTER] == b"\xa5" * CLUSTER


def test_neighbours_are_joined(opened: Opener) -> None:
    table = {0: COPIED | 5 * CLUSTER, 1: COPIED | 6 * CLUSTER, 2: COPIED | 8 * CLUSTER, 3: 1, 5: COPIED | 7 * CLUSTER}
    image = opened(qcow2(l2=table, data=b"".join(bytes([n]) * CLUSTER for n in (1, 2, 3, 4))))
    assert [(extent.length // CLUSTER, extent.source) for extent in image.extents()] == [
        (2, 5 * CLUSTER),
        (1, 8 * CLUSTER),
        (2, None),
        (1, 7 * CLUSTER),
        (58, None),
    ]


def test_zero_clusters_hide_what_was_there(opened: Opener) -> None:
    assert content_of(opened(qcow2(l2={0: COPIED | 5 * CLUSTER | 1}))) == bytes(4 * MIB)


def test_last_cluster_may_be_cut_off_at_the_disks_end(opened: Opener) -> None:
    image = opened(qcow2(size=CLUSTER + 1024, l2={1: COPIED | 5 * CLUSTER}, data=b"\1" * 1024))
    assert content_of(image) == bytes(CLUSTER) + b"\1" * 1024


# --- compressed clusters --------------------------------------------------------------------------------------------


def packed_image(data: bytes, **changes: Any) -> bytes:
    position = 5 * CLUSTER + 100
    entry = packed_entry(position, len(data))
    return qcow2(l2={0: entry}, data=bytes(100) + data, **changes)


def test_deflate(opened: Opener) -> None:
    plain = bytes(range(256)) * 256
    assert content_of(opened(packed_image(deflated(plain))))[:CLUSTER] == plain


def test_zstd(opened: Opener) -> None:
    plain = bytes(range(256)) * 256
    data = zstandard.ZstdCompressor().compress(plain)
    assert content_of(opened(packed_image(data, incompatible=COMPRESSION, compression=1)))[:CLUSTER] == plain


BAD_PACKED = {
    "deflate: short": (deflated(bytes(CLUSTER - 1)), {}),
    "deflate: cut off": (deflated(b"".join(n.to_bytes(2, "big") for n in range(CLUSTER // 2)))[:1000], {}),
    "deflate: garbage": (b"\xff" * 300, {}),
    "deflate: empty": (bytes(300), {}),
    "zstd: short": (
        zstandard.ZstdCompressor().compress(bytes(CLUSTER - 1)),
        {"incompatible": COMPRESSION, "compression": 1},
    ),
    "zstd: garbage": (b"\xff" * 300, {"incompatible": COMPRESSION, "compression": 1}),
    "zstd: window of 2 GiB": (
        b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x03\x00\x20\x00",
        {"incompatible": COMPRESSION, "compression": 1},
    ),
}


@pytest.mark.parametrize("case", BAD_PACKED)
def test_damaged_compression(opened: Opener, case: str) -> None:
    data, changes = BAD_PACKED[case]
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .*damaged compressed cluster"):
        content_of(opened(packed_image(data, **changes)))


@pytest.mark.parametrize("name", ["deflate", "zstd", "zstd with its size"])
def test_bombs_give_a_cluster_and_no_more(opened: Opener, name: str) -> None:
    if name == "deflate":
        image = packed_image(deflated(bytes(50 * MIB)))
    else:
        packer = zstandard.ZstdCompressor(write_content_size=name != "zstd")
        image = packed_image(packer.compress(bytes(50 * MIB)), incompatible=COMPRESSION, compression=1)
    tracemalloc.start()
    try:
        assert content_of(opened(image)) == bytes(4 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


def test_zstd_frame_that_claims_a_huge_size(opened: Opener) -> None:
    frame = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 60) + b"\x03\x00\x00"
    with pytest.raises(ProviderError, match="damaged compressed cluster"):
        content_of(opened(packed_image(frame, incompatible=COMPRESSION, compression=1)))


def test_two_clusters_from_one_compressed_piece(opened: Opener) -> None:
    """Not joined, although their source is the same"""
    data = deflated(b"\7" * CLUSTER)
    entry = packed_entry(5 * CLUSTER, len(data))
    image = opened(qcow2(l2={0: entry, 1: entry}, data=data))
    assert content_of(image)[: 2 * CLUSTER] == b"\7" * 2 * CLUSTER


# --- subclusters ----------------------------------------------------------------------------------------------------


def extended(entry: int, bitmap: int) -> bytes:
    image = bytearray(qcow2(incompatible=EXTENDED_L2, l2={0: entry}))
    struct.pack_into(">Q", image, 4 * CLUSTER + 8, bitmap)
    return bytes(image)


def test_subclusters(opened: Opener) -> None:
    part = CLUSTER // 32
    image = opened(extended(COPIED | 5 * CLUSTER, 0b1011 | 0b0100 << 32))
    assert content_of(image) == (b"\xa5" * 2 * part + bytes(part) + b"\xa5" * part).ljust(4 * MIB, b"\0")


@pytest.mark.parametrize(
    ("entry", "bitmap"),
    [
        (COPIED | 5 * CLUSTER, 1 | 1 << 32),
        (COPIED | 5 * CLUSTER | 1, 1),
        (0, 1),
        (packed_entry(5 * CLUSTER, 100), 1),
    ],
)
def test_subclusters_that_contradict_themselves(opened: Opener, entry: int, bitmap: int) -> None:
    refuse(opened, extended(entry, bitmap), "")


def test_subclusters_past_the_end(opened: Opener) -> None:
    refuse(opened, extended(COPIED | 5 * CLUSTER, 1 << 31)[:-512], "past its end")


# --- bombs ----------------------------------------------------------------------------------------------------------


@pytest.mark.timed
def test_virtual_size_of_60_tb_is_compared_first(opened: Opener, tmp_path: Path) -> None:
    size = 60 << 40
    l1_size = size // (CLUSTER * CLUSTER // 8)
    image = qcow2(size=size, l1_size=l1_size, l1_offset=6 * CLUSTER) + bytes(l1_size * 8)
    started = time.monotonic()
    disk = new_disk(tmp_path / "disk", 4 * MIB)
    with pytest.raises(ProviderError, match=rf"E-DISK-SMALL: .* {size // MIB} MiB, this one has 4 MiB"):
        deploy(opened(image), disk)
    assert time.monotonic() - started < 1
    assert disk.stat().st_blocks == 0


def test_one_l2_table_for_a_petabyte_ends(opened: Opener) -> None:
    """An L1 table of 32 MiB that names one L2 table over and over"""
    bits = 9
    cluster = 1 << bits
    l1_size = 1 << 20
    size = l1_size * cluster * cluster // 8
    header = qcow2(cluster_bits=bits, size=size, l1_size=l1_size, l1_offset=4096, refcount_offset=512)[:512]
    image = header.ljust(4096, b"\0") + struct.pack(">Q", 512) * l1_size
    started = time.monotonic()
    refuse(opened, image, "")
    assert time.monotonic() - started < 10
