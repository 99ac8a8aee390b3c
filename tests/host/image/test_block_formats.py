"""vmdk, vdi, vhd and vhdx: what is read, what is refused and why, what bytes that nobody wrote end in"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helper_host.errors import ProviderError
from helper_host.image.formats import Extent, Packed, open_reader
from helper_host.image.formats.base import SECTOR
from helper_host.image.formats.vhd import VhdReader
from helper_host.image.formats.vhdx import crc32c

from . import blocks
from .blocks import (
    AT_END,
    BAT,
    DISK_SIZE,
    FILE_PARAMETERS,
    GRAIN,
    KIB,
    LOGICAL_SECTOR,
    METADATA,
    MIB,
    PARENT,
    PATTERN,
    UNKNOWN,
    descriptor,
    vdi,
    vhd,
    vhd_fixed,
    vhdx,
    vhdx_header,
    vhdx_regions,
    vmdk,
    vmdk_stream,
)  # fmt: skip
from .conftest import Opener, content_of

DISK = (PATTERN * MIB).ljust(3 * MIB, b"\0")
GRAIN_DISK = (PATTERN * GRAIN).ljust(3 * MIB, b"\0")
FIELD = b"\1" * 16
REGIONS = ((METADATA, MIB, MIB, 1), (BAT, 2 * MIB, MIB, 1))


def region_tables(*entries: tuple[bytes, int, int, int], count: int | None = None) -> tuple[bytes, bytes]:
    return (vhdx_regions(entries, count),) * 2


GOOD: dict[str, tuple[str, bytes, bytes]] = {
    "vdi": ("vdi", vdi(), DISK),
    "vdi fixed": ("vdi", vdi(kind=2), DISK),
    "vdi of half a sector": ("vdi", vdi(size=3 * MIB - 700), DISK[: 3 * MIB - 512]),
    "vdi backwards": (
        "vdi",
        vdi(entries=(2, 1, 0), data=b"a" * MIB + b"b" * MIB + b"c" * MIB),
        b"c" * MIB + b"b" * MIB + b"a" * MIB,
    ),
    "vdi last block cut": ("vdi", vdi(size=MIB // 2, blocks=1, data=PATTERN * (MIB // 2)), PATTERN * (MIB // 2)),
    "vdi small blocks": ("vdi", vdi(block=64 * KIB, size=3 * MIB, blocks=48, entries=(0,)), GRAIN_DISK),
    "vhd": ("vhd", vhd(), DISK),
    "vhd sectors never written": (
        "vhd",
        vhd(bitmap=(b"\xf0" + b"\xff" * 254 + b"\xfe").ljust(512, b"\0")),
        (PATTERN * 2048 + bytes(2048) + PATTERN * (MIB - 4096 - 512)).ljust(3 * MIB, b"\0"),
    ),
    "vhd no sector written": ("vhd", vhd(bitmap=bytes(512)), bytes(3 * MIB)),
    "vhd old footer": ("vhd", vhd(end=blocks.vhd_footer()[:511]), DISK),
    "vhd by Virtual PC": ("vhd", vhd(creator=b"vpc ", geometry=(64, 4, 17)), DISK[: 64 * 4 * 17 * 512]),
    "vhd by Virtual PC, large": ("vhd", vhd(creator=b"vpc ", geometry=(65535, 16, 255)), DISK),
    "vhd by VirtualBox": ("vhd", vhd(creator=b"vbox", geometry=(64, 4, 17)), DISK),
    "vhd fixed": ("vhd", vhd_fixed(), PATTERN * MIB),
    "vhd fixed, old footer": ("vhd", vhd_fixed(cut=1), PATTERN * MIB),
    "vhd fixed, with a boot sector": (
        "vhd",
        vhd_fixed((PATTERN * 510 + b"\x55\xaa").ljust(MIB, b"\1")),
        (PATTERN * 510 + b"\x55\xaa").ljust(MIB, b"\1"),
    ),
    "vmdk": ("vmdk", vmdk(), GRAIN_DISK),
    "vmdk zero grain": ("vmdk", vmdk(version=2, flags=7, grains=(1, 128)), bytes(GRAIN) + GRAIN_DISK[:-GRAIN]),
    "vmdk no table": ("vmdk", vmdk(tables=(0,)), bytes(3 * MIB)),
    "vmdk in Windows' lines": ("vmdk", vmdk(text=descriptor().replace(b"\n", b"\r\n")), GRAIN_DISK),
    "vmdk stream": ("vmdk", vmdk_stream(), GRAIN_DISK),
    "vmdk stream, end cut to the disk's": (
        "vmdk",
        vmdk_stream(capacity=GRAIN // 512 + 1, grains={0: b"a" * GRAIN, 1: b"b" * 512}),
        b"a" * GRAIN + b"b" * 512,
    ),
    "vmdk stream out of order": (
        "vmdk",
        vmdk_stream(grains={2: b"c" * GRAIN, 0: bytes(range(256)) * 256, 40: b"d" * GRAIN}),
        bytes(range(256)) * 256 + bytes(GRAIN) + b"c" * GRAIN + bytes(37 * GRAIN) + b"d" * GRAIN + bytes(7 * GRAIN),
    ),
    "vmdk stream without footer": (
        "vmdk",
        vmdk(
            version=3, flags=0x30001, compression=1, text=descriptor(kind="streamOptimized"),
            data=blocks.packed_grain(0, PATTERN * GRAIN),
        ),
        GRAIN_DISK,
    ),
    "vhdx": ("vhdx", vhdx(), DISK),
    "vhdx second header only": ("vhdx", vhdx(headers=(bytes(4096), vhdx_header(1))), DISK),
    "vhdx old header dirty": ("vhdx", vhdx(headers=(vhdx_header(7), vhdx_header(6, log=FIELD))), DISK),
    "vhdx unmapped": ("vhdx", vhdx(entries=(3 * MIB | 3, 1, 3 * MIB | 6)), bytes(2 * MIB) + PATTERN * MIB),
    "vhdx something optional": (
        "vhdx",
        vhdx(items=((UNKNOWN, 64 * KIB + 64, 8, 0),), regions=region_tables(*REGIONS, (UNKNOWN, 0, 0, 0))),
        DISK,
    ),
}  # fmt: skip

BAD: dict[str, tuple[bytes, str]] = {
    "vdi version": (vdi(version=0x20000), "version 2.0"),
    "vdi differencing": (vdi(kind=4), "based on another"),
    "vdi undo": (vdi(kind=3), "based on another"),
    "vdi parent": (vdi(parent=FIELD), "based on another"),
    "vdi link": (vdi(link=FIELD), "based on another"),
    "vdi type": (vdi(kind=9), "of type 9"),
    "vdi flags": (vdi(flags=0x20000), "flags that are not known"),
    "vdi header size": (vdi(header_size=0x10), "header says"),
    "vdi sectors": (vdi(sector=4096), "sectors of 4096"),
    "vdi no disk": (vdi(size=0), "0 bytes"),
    "vdi absurd disk": (vdi(size=1 << 60), "its disk has"),
    "vdi wrapping disk": (vdi(size=(1 << 64) - 1), "its disk has"),
    "vdi odd blocks": (vdi(block=MIB + 512), "has blocks of"),
    "vdi no blocks": (vdi(block=0), "has blocks of 0"),
    "vdi something before each block": (vdi(extra=512), "512 before each"),
    "vdi map too small": (vdi(blocks=2), "too small"),
    "vdi map outside": (vdi(map_offset=1 << 30), "not inside the file"),
    "vdi map in the header": (vdi(map_offset=0), "not inside the file"),
    "vdi data in the map": (vdi(data_offset=512), "begins before"),
    "vdi data outside": (vdi(entries=(1, 2, 3)), "past its end"),
    "vdi data far outside": (vdi(entries=(0xFFFFFFFD, 0xFFFFFFFE, 0)), "past its end"),
    "vdi one block twice": (vdi(entries=(0, 0, 0)), "more data than its file"),
    "vhd checksum": (vhd_fixed(damage=True), "footer is damaged"),
    "vhd version": (vhd(version=0x20000), "version 2.0"),
    "vhd differencing": (vhd(kind=4), "based on another"),
    "vhd type": (vhd(kind=7), "of type 7"),
    "vhd features": (vhd(features=0x12), "features that are not known"),
    "vhd no disk": (vhd(size=0), "0 bytes"),
    "vhd part of a sector": (vhd(size=MIB + 1), "its disk has"),
    "vhd absurd disk": (vhd(size=1 << 62), "its disk has"),
    "vhd no footer": (vhd(end=b""), "no footer"),
    "vhd footers differ": (vhd(end=blocks.vhd_footer(size=2 * MIB)), "differ"),
    "vhd header damaged": (vhd(header_damage=True), "header is damaged"),
    "vhd header outside": (vhd(header_offset=1 << 40), "not inside the file"),
    "vhd header nowhere": (vhd(header_offset=(1 << 64) - 1), "not inside the file"),
    "vhd header version": (vhd(header_version=0x30000), "header of version 3.0"),
    "vhd parent's name": (vhd(parent="/etc/shadow".encode("utf-16-be")), "names a parent"),
    "vhd parent's locator": (vhd(parent=bytes(512) + b"W2ku"), "names a parent"),
    "vhd blocks": (vhd(block=MIB - 512), "has blocks of"),
    "vhd table too small": (vhd(entries=2), "too small"),
    "vhd table outside": (vhd(table_offset=1 << 50), "not inside the file"),
    "vhd table in the footer's copy": (vhd(table_offset=0), "not inside the file"),
    "vhd data outside": (vhd(table=(4, 9, 0xFFFFFFFE)), "past its end"),
    "vhd data at the start": (vhd(table=(0, 0, 0)), "past its end"),
    "vhd one block twice": (vhd(table=(4, 4, 4)), "more data than its file"),
    "vhd fixed too short": (vhd_fixed(size=MIB + 512), "shorter than its disk"),
    "vhd fixed and qcow2": (vhd_fixed(b"QFI\xfb\0\0\0\3".ljust(MIB, b"\0")), "several formats"),
    "vmdk version": (vmdk(version=4), "version 4"),
    "vmdk flags": (vmdk(flags=0x103), "flags that are not known"),
    "vmdk as text": (vmdk(newlines=b"\n \n\n"), "transfer as text"),
    "vmdk compression": (vmdk(compression=2), "compression 2"),
    "vmdk compression without flag": (vmdk(compression=1), "compression 1"),
    "vmdk markers alone": (vmdk(flags=0x20003), "no compression"),
    "vmdk unclean": (vmdk(unclean=1), "not closed properly"),
    "vmdk no disk": (vmdk(capacity=0), "0 sectors"),
    "vmdk absurd disk": (vmdk(capacity=1 << 55), "its disk has"),
    "vmdk grains": (vmdk(grain=100), "grains of 100"),
    "vmdk no grains": (vmdk(grain=0), "grains of 0"),
    "vmdk huge grains": (vmdk(grain=1 << 40), "grains of"),
    "vmdk tables": (vmdk(table_size=1 << 31), "tables of"),
    "vmdk no descriptor": (vmdk(descriptor_at=0, descriptor_size=0), "no descriptor"),
    "vmdk descriptor elsewhere": (vmdk(descriptor_at=2), "no descriptor where"),
    "vmdk huge descriptor": (vmdk(descriptor_size=1 << 40), "absurdly large"),
    "vmdk descriptor cut": (vmdk(descriptor_size=2000), "not inside the file"),
    "vmdk descriptor not ASCII": (vmdk(text=descriptor(more="# \xfc")), "not plain text"),
    "vmdk flat": (vmdk(text=descriptor(kind="monolithicFlat", extents='RW 6144 FLAT "/etc/shadow" 0')), "neither"),
    "vmdk flat extent": (vmdk(text=descriptor(extents='RW 6144 FLAT "/etc/shadow" 0')), "other extents"),
    "vmdk second extent": (
        vmdk(text=descriptor(extents='RW 6144 SPARSE "a"\nRW 8 FLAT "/etc/shadow" 0')),
        "other extents",
    ),
    "vmdk device": (vmdk(text=descriptor(kind="fullDevice", extents='RW 6144 FLAT "/dev/sda" 0')), "neither"),
    "vmdk extent with a path": (vmdk(text=descriptor(extents='RW 6144 SPARSE "../../etc/shadow"')), "other extents"),
    "vmdk extent of another size": (vmdk(text=descriptor(extents='RW 6143 SPARSE "a"')), "other extents"),
    "vmdk no extent": (vmdk(text=descriptor(extents="")), "other extents"),
    "vmdk parent": (vmdk(text=descriptor(parent="12345678")), "based on another"),
    "vmdk parent's name": (vmdk(text=descriptor(more='parentFileNameHint="/etc/shadow"')), "lead to other files"),
    "vmdk key": (vmdk(text=descriptor(more='encryption.keySafe = "vmware:key/list/()"')), "to keys"),
    "vmdk change tracking": (vmdk(text=descriptor(more='changeTrackPath="/etc/shadow"')), "lead to other files"),
    "vmdk type without quotes": (
        vmdk(text=descriptor().replace(b'"monolithicSparse"', b"monolithicSparse")),
        "neither",
    ),
    "vmdk type with a blank": (vmdk(text=descriptor().replace(b"createType=", b"createType =")), "not known"),
    "vmdk two types": (vmdk(text=descriptor(more='createType="monolithicFlat"')), "not known"),
    "vmdk directory outside": (vmdk(directory=1 << 40), "directory is not inside"),
    "vmdk directory nowhere": (vmdk(directory=0), "directory is not inside"),
    "vmdk table outside": (vmdk(tables=(0xFFFFFFFF,)), "grain table is not inside"),
    "vmdk data outside": (vmdk(grains=(128, 0xFFFFFF00)), "past its end"),
    "vmdk one grain often": (vmdk(grains=(128,) * 48), "more data than its file"),
    "vmdk stream no footer": (vmdk_stream(end=b""), "no footer"),
    "vmdk stream footer's marker": (vmdk_stream(footer_marker=blocks.marker(1, 2)), "no footer"),
    "vmdk stream end's marker": (vmdk_stream(end=blocks.marker(0, 1)), "no footer"),
    "vmdk stream footer of another size": (vmdk_stream(footer={"capacity": 8}), "differ"),
    "vmdk stream footer with another descriptor": (vmdk_stream(footer={"descriptor_at": 2}), "differ"),
    "vmdk stream footer without end": (vmdk_stream(footer={"directory": AT_END}), "differ"),
    "vmdk stream directory outside": (vmdk_stream(footer={"directory": 1 << 60}), "not inside"),
    "vmdk text alone": (descriptor(kind="monolithicFlat").ljust(4096, b"\n"), "holds the disk's data itself"),
    "vmdk of ESX": (b"COWD".ljust(4096, b"\0"), "holds the disk's data itself"),
    "vhdx headers": (vhdx(headers=(bytes(4096), bytes(4096))), "headers are damaged"),
    "vhdx dirty": (vhdx(headers=(vhdx_header(1), vhdx_header(2, log=FIELD))), "log is not empty"),
    "vhdx version": (vhdx(headers=(vhdx_header(1), vhdx_header(2, version=2))), "version 2"),
    "vhdx log version": (vhdx(headers=(vhdx_header(1), vhdx_header(2, log_version=1))), "version 1"),
    "vhdx regions": (vhdx(regions=(bytes(64 * KIB), vhdx_regions(REGIONS))), "region table is damaged"),
    "vhdx many regions": (vhdx(regions=region_tables(*REGIONS, count=1 << 31)), "regions"),
    "vhdx no table": (vhdx(regions=region_tables(REGIONS[0])), "lacks its metadata"),
    "vhdx region twice": (vhdx(regions=region_tables(*REGIONS, REGIONS[0])), "twice"),
    "vhdx unknown region": (vhdx(regions=region_tables(*REGIONS, (UNKNOWN, MIB, MIB, 1))), "region that is not known"),
    "vhdx region outside": (vhdx(regions=region_tables(REGIONS[0], (BAT, 1 << 40, MIB, 1))), "not inside"),
    "vhdx region odd": (vhdx(regions=region_tables(REGIONS[0], (BAT, 2 * MIB + 512, MIB, 1))), "not inside"),
    "vhdx regions overlap": (vhdx(regions=region_tables(REGIONS[0], (BAT, MIB, MIB, 1))), "overlap"),
    "vhdx parent": (vhdx(flags=2), "based on another"),
    "vhdx parent's locator": (vhdx(items=((PARENT, 64 * KIB, 8, 4),)), "based on another"),
    "vhdx flags": (vhdx(flags=4), "flags that are not known"),
    "vhdx unknown metadata": (vhdx(items=((UNKNOWN, 64 * KIB, 8, 4),)), "metadata that is not known"),
    "vhdx metadata twice": (vhdx(items=((DISK_SIZE, 64 * KIB, 8, 6),)), "metadata twice"),
    "vhdx metadata outside": (
        vhdx(without=(DISK_SIZE,), items=((DISK_SIZE, 0xFFFFFFF8, 8, 6),)),
        "not where it should be",
    ),
    "vhdx no size": (vhdx(without=(DISK_SIZE,)), "lacks metadata"),
    "vhdx no sector size": (vhdx(without=(LOGICAL_SECTOR,)), "lacks metadata"),
    "vhdx no parameters": (vhdx(without=(FILE_PARAMETERS,)), "lacks metadata"),
    "vhdx sectors": (vhdx(sector=4096), "sectors of 4096"),
    "vhdx blocks": (vhdx(block=512 * KIB), "has blocks of"),
    "vhdx no disk": (vhdx(size=0), "0 bytes"),
    "vhdx absurd disk": (vhdx(size=1 << 60), "its disk has"),
    "vhdx table too small": (vhdx(size=1 << 40), "too small"),
    "vhdx data outside": (vhdx(entries=(9 * MIB | 6, 0, 0)), "past its end"),
    "vhdx data nowhere": (vhdx(entries=(6, 0, 0)), "past its end"),
    "vhdx partial block": (vhdx(entries=(3 * MIB | 7, 0, 0)), "partly in another file"),
    "vhdx unknown state": (vhdx(entries=(3 * MIB | 5, 0, 0)), "entries that are not known"),
    "vhdx reserved bits": (vhdx(entries=(3 * MIB | 6 | 8, 0, 0)), "entries that are not known"),
    "vhdx one block twice": (vhdx(size=6 * MIB, entries=(3 * MIB | 6,) * 6), "more data than its file"),
}
DAMAGED: dict[str, bytes] = {
    "vmdk grain of no bytes": vmdk_stream(lengths={0: 0}),
    "vmdk grain longer than its place": vmdk_stream(lengths={0: 1 << 31}),
    "vmdk grain cut": vmdk_stream(lengths={0: 20}),
    "vmdk grain too short": vmdk_stream(grains={0: PATTERN * (GRAIN - 1)}),
}


@pytest.mark.parametrize("case", GOOD)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "auto"])
def test_good(opened: Opener, case: str, declared: bool) -> None:
    name, content, disk = GOOD[case]
    image = opened(content, name if declared else "auto")
    assert image.format == name
    image.check_map(threading.Event())
    assert content_of(image) == disk


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "auto"])
def test_bad(opened: Opener, case: str, declared: bool) -> None:
    content, words = BAD[case]
    with pytest.raises(ProviderError, match=f"E-IMAGE-REFUSED: .*({words})"):
        opened(content, case.partition(" ")[0] if declared else "auto").check_map(threading.Event())


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_grain(opened: Opener, case: str) -> None:
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .*damaged compressed grain"):
        content_of(opened(DAMAGED[case]))


def test_grain_never_becomes_more_than_a_grain(opened: Opener) -> None:
    image = opened(vmdk_stream(grains={0: bytes(64 * MIB)}))
    tracemalloc.start()
    content_of(image)
    assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["vmdk", "vdi", "vhd", "vhdx"])
@pytest.mark.parametrize("content", [b"\1" * 4096, bytes(4096), bytes(512), b"\1", b""], ids=len)
def test_what_is_none(opened: Opener, name: str, content: bytes) -> None:
    with pytest.raises(ProviderError, match="E-IMAGE-REFUSED: The image is n"):
        opened(content, name)


@pytest.mark.parametrize("case", GOOD)
def test_cut_anywhere(opened: Opener, case: str) -> None:
    """Truncated images are refused or, where nothing but unused bytes is missing, give the same disk"""
    name, content, disk = GOOD[case]
    for length in (1, 64, 511, 512, 513, 1024, 2048, 65536, MIB, len(content) // 2, len(content) - 512):
        if length >= len(content):
            continue
        try:
            image = opened(content[:length], name)
            assert content_of(image) == disk
        except ProviderError as error:
            assert error.code == "E-IMAGE-REFUSED"


def test_crc32c() -> None:
    """RFC 3720, B.4"""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_vhdx_entries_for_bitmaps_stand_between(opened: Opener) -> None:
    """Blocks of 256 MiB: each 16 entries are followed by one that is no block's"""
    entries = [0] * 18
    entries[16] = 0xDEAD0000000007  # of a sector bitmap, which is no business of an image without parent
    entries[17] = 3 * MIB | 6
    image = opened(vhdx(size=(16 * 256 + 1) * MIB, block=256 * MIB, entries=tuple(entries)))
    assert list(image.extents()) == [Extent(0, 4096 * MIB, None), Extent(4096 * MIB, MIB, 3 * MIB)]


def test_large_map_is_walked_in_a_moment_and_in_pieces(opened: Opener) -> None:
    """A disk of a PiB in blocks of 1 MiB would have 4 GiB of map: what isn't there is refused, what is is streamed"""
    entries = (0xFFFFFFFF,) * 100_000
    content = vdi(size=100_000 * MIB, blocks=100_000, entries=entries, data_offset=2 * MIB)
    image = opened(content)
    tracemalloc.start()
    assert list(image.extents()) == [Extent(0, 100_000 * MIB, None)]
    assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    tracemalloc.stop()


# ---- any bytes

MADE: dict[str, Callable[[], bytes]] = {
    "vdi": lambda: vdi(size=128 * KIB, block=64 * KIB, entries=(0, 1), blocks=2, data=PATTERN * 128 * KIB),
    "vhd": lambda: vhd(size=128 * KIB, block=64 * KIB, table=(4, 0xFFFFFFFF), entries=2, data=PATTERN * 64 * KIB),
    "vmdk": vmdk,
    "vmdk stream": vmdk_stream,
    "vhdx": vhdx,
}
WHERE = {
    "vdi": st.integers(0, 1030),
    "vhd": st.integers(0, 2100) | st.integers(-512, -1),
    "vmdk": st.integers(0, 600) | st.integers(21 * 512, 23 * 512),
    "vmdk stream": st.integers(0, 600) | st.integers(127 * 512, 129 * 512) | st.integers(-5120, -1),
    "vhdx": st.sampled_from(
        [
            start + offset
            for start, count in (
                (0, 16), (64 * KIB, 96), (192 * KIB, 96), (MIB, 224), (MIB + 64 * KIB, 40), (2 * MIB, 32)
            )
            for offset in range(count)
        ]
    ),
}  # fmt: skip


def repaired(name: str, image: bytearray) -> bytes:
    """With the checksums right again, so that what is behind them is reached"""
    if name == "vhd":
        image[:512] = blocks.summed(bytes(image[:512]), 64)
        image[512:1536] = blocks.summed(bytes(image[512:1536]), 36)
        image[-512:] = image[:512]
    elif name == "vhdx":
        for start, length in ((64 * KIB, 4096), (192 * KIB, 64 * KIB)):
            image[start : start + length] = blocks.checked(bytes(image[start : start + length]))
    return bytes(image)


@pytest.mark.parametrize("name", MADE)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_bytes_end_in_a_verdict(name: str, data: st.DataObject) -> None:
    """Whatever the tables say: a disk's worth of bytes from inside the file, or E-IMAGE-REFUSED"""
    image = bytearray(MADE[name]())
    for offset, value in data.draw(st.lists(st.tuples(WHERE[name], st.integers(0, 255)), min_size=1, max_size=5)):
        image[offset] = value
    content = repaired(name, image) if data.draw(st.integers(0, 4)) else bytes(image)
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            reader = open_reader(file.fileno(), len(content), name.partition(" ")[0])
            end, mapped = 0, 0
            for extent in reader.extents():
                assert extent.offset == end and extent.length > 0
                end += extent.length
                if isinstance(extent.source, Packed):
                    assert 0 < extent.source.position < extent.source.position + extent.source.length <= len(content)
                    assert extent.length <= 2 * MIB
                    reader.unpack(extent.source, memoryview(bytearray(extent.length)))
                elif extent.source is not None:
                    mapped += extent.length
                    assert 0 <= extent.source <= extent.source + extent.length < len(content) + 512
                if end > 1 << 33:
                    return  # a larger disk than any that is there; what follows is of the same kind
            assert end == reader.virtual_size
            assert mapped <= len(content) + 512
        except ProviderError as error:
            assert error.code == "E-IMAGE-REFUSED"


def test_a_bitmap_with_half_a_million_runs_takes_no_longer_than_its_size(tmp_path: Path) -> None:
    block = 256 * MIB
    path = tmp_path / "disk.vhd"
    bitmap = b"\xaa" * (block // SECTOR // 8)
    head = vhd(size=block, block=block, entries=1, table=(4,), bitmap=bitmap, data=b"", end=b"")
    with open(path, "wb") as file:
        file.write(head)
        # the block is a hole: a packed image of this takes nothing
        file.seek(block, os.SEEK_CUR)
        file.write(blocks.vhd_footer(size=block))
    began = time.process_time()
    with open(path, "rb") as file:
        extents = list(VhdReader(file.fileno(), path.stat().st_size).extents())
    assert time.process_time() - began < 5  # 12 s, when all of a bitmap was one number
    assert len(extents) == block // SECTOR
    assert sum(extent.length for extent in extents) == block
    data = 2048 + len(bitmap)
    assert extents[:2] == [Extent(0, SECTOR, data), Extent(SECTOR, SECTOR, None)]
    assert extents[-2:] == [
        Extent(block - 2 * SECTOR, SECTOR, data + block - 2 * SECTOR),
        Extent(block - SECTOR, SECTOR, None),
    ]
