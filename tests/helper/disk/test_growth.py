"""Growing partitions and adding swap: what the tools then read is what we meant, and nothing else moved"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_agent.api import TaskError
from helper_agent.disk import partitions
from helper_agent.disk.partitions import Medium, Partition, Table
from tests.helper.disk import tables
from tests.helper.disk.tables import SECTORS, Entry, Slot

MIB = 2048
"""Sectors of a MiB."""
DISK = 4 * SECTORS
LAST = DISK - DISK % MIB - MIB
"""Where the last whole MiB of a GPT disk starts: the backup lies in it."""


def gpt(path: Path, *slots: tuple[int, int]) -> Path:
    """Partitions as (start, size) in MiB, on a disk four times as large as the image's"""
    return tables.gpt(path, [Slot(start * MIB, size * MIB) for start, size in slots], disk_sectors=DISK)


def msdos(path: Path, *entries: tuple[int, int, int], logical: tuple[tuple[int, int], ...] = ()) -> Path:
    """Entries as (type, start, size) in MiB; logical ones as (start, size) with their boot record a MiB before"""
    made = [Entry(kind, start * MIB, size * MIB) for kind, start, size in entries]
    base = next((start for kind, start, _ in entries if kind == 5), 0)
    records = {}
    for index, (start, size) in enumerate(logical):
        record = [Entry(0x83, MIB, size * MIB)]
        if index + 1 < len(logical):
            following, its_size = logical[index + 1]
            record.append(Entry(5, (following - 1 - base) * MIB, (its_size + 1) * MIB))
        records[(start - 1) * MIB] = record
    return tables.msdos(path, made, records=records, sectors=DISK)


# What is on the disk, which partition grows, and its end in MiB afterwards
GROWTH: dict[str, tuple[Callable[[Path], Path], int, int]] = {
    "gpt-last": (lambda p: gpt(p, (1, 10), (11, 20)), 2, LAST // MIB),
    "gpt-last-in-position-not-in-number": (lambda p: gpt(p, (11, 20), (1, 10)), 1, LAST // MIB),
    "gpt-free-space-behind": (lambda p: gpt(p, (1, 10), (50, 20)), 1, 50),
    "gpt-none-behind": (lambda p: gpt(p, (1, 10), (11, 20)), 1, 11),
    "msdos-last": (lambda p: msdos(p, (0x83, 1, 10), (0x83, 11, 20)), 2, DISK // MIB),
    "msdos-free-space-behind": (lambda p: msdos(p, (0x83, 1, 10), (0x83, 50, 20)), 1, 50),
    "msdos-before-extended": (
        lambda p: msdos(p, (0x83, 1, 10), (5, 40, 20), logical=((41, 19),)), 1, 40),
    "msdos-logical-last": (
        lambda p: msdos(p, (0x83, 1, 10), (5, 11, 40), logical=((12, 10), (23, 28))), 6, DISK // MIB),
    "msdos-logical-first": (
        lambda p: msdos(p, (0x83, 1, 10), (5, 11, 40), logical=((12, 10), (33, 18))), 5, 32),
    "msdos-logical-in-enclosed-extended": (
        lambda p: msdos(p, (5, 11, 40), (0x83, 80, 10), logical=((12, 10),)), 5, 80),
}  # fmt: skip


@pytest.mark.parametrize("case", GROWTH)
@pytest.mark.programs
def test_grow(case: str, tmp_path: Path) -> None:
    make, number, end = GROWTH[case]
    disk = make(tmp_path / "disk")
    before = _read(disk)
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        more = table.grow(number)
        table.write(medium)
    after = _read(disk)
    grown = _known(after, number)
    assert grown.end == end * MIB
    assert more == grown.size - _known(before, number).size
    assert {one.number: one.start for one in after.partitions} == {one.number: one.start for one in before.partitions}
    for one in before.partitions:
        if one.number != number and one.role != "extended":
            assert _known(after, one.number) == one
    _as_the_tools_see_it(disk, after)


def test_a_partition_of_odd_size_keeps_what_it_has(tmp_path: Path) -> None:
    """Its end lies behind the last whole MiB: it can't grow, and must not shrink"""
    disk = tables.gpt(tmp_path / "disk", [Slot(MIB, SECTORS - MIB - 34)])
    table = _read(disk)
    assert table.grow(1) == 0
    assert _known(table, 1).size == SECTORS - MIB - 34


@pytest.mark.programs
def test_a_table_mended_from_its_backup(tmp_path: Path) -> None:
    disk = tables.gpt(tmp_path / "disk", [Slot(MIB, MIB)], disk_sectors=DISK, after={512: bytes(512)})
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        assert table.must_write
        table.write(medium)
    after = _read(disk)
    assert not after.remarks
    _as_the_tools_see_it(disk, after)


def test_an_mbr_beyond_32_bits(tmp_path: Path) -> None:
    """An msdos table on a disk of 3 TiB: the last partition ends where 32 bits end"""
    disk = tables.msdos(tmp_path / "disk", [Entry(0x83, MIB, MIB)], sectors=3 * 2**31)
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        assert table.grow(1)
        table.write(medium)
    assert _known(_read(disk), 1).end == 2**32 - MIB


def test_a_hybrid_mbr_follows(tmp_path: Path) -> None:
    mbr = [Entry(0xEE, 1, MIB - 1), Entry(0x83, 2 * MIB, MIB)]
    disk = tables.gpt(tmp_path / "disk", [Slot(2 * MIB, MIB)], disk_sectors=DISK, mbr=mbr)
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        table.grow(1)
        table.write(medium)
    size = _known(_read(disk), 1).size
    assert disk.read_bytes()[446 + 16 + 12 :][:4] == size.to_bytes(4, "little")


def test_4096_byte_sectors(tmp_path: Path) -> None:
    disk = tables.gpt(tmp_path / "disk", [Slot(256, 256)], sectors=4096, sector_size=4096, disk_sectors=16384)
    with Medium(str(disk), write=True, sector_size=4096) as medium:
        table = _table(medium)
        table.grow(1)
        table.write(medium)
    with Medium(str(disk), sector_size=4096) as medium:
        after = _table(medium)
    assert (_known(after, 1).end * 4096) % tables.MIB == 0
    assert not after.remarks


SWAP: dict[str, tuple[Callable[[Path], Path], int, str]] = {
    "gpt": (lambda p: gpt(p, (1, 10)), 2, "primary"),
    "gpt-hole-in-numbers": (
        lambda p: tables.gpt(p, [Slot(MIB, MIB), Slot(2 * MIB, MIB)], disk_sectors=DISK), 3, "primary"),
    "msdos": (lambda p: msdos(p, (0x83, 1, 10)), 2, "primary"),
    "msdos-behind-extended": (lambda p: msdos(p, (0x83, 1, 10), (5, 11, 20), logical=((12, 19),)), 3, "primary"),
    "msdos-four-used": (
        lambda p: msdos(p, (0x83, 1, 5), (0x83, 6, 5), (0x83, 11, 5), (5, 20, 20), logical=((21, 19),)), 6, "logical"),
    "msdos-inside-wide-extended": (
        lambda p: msdos(p, (0x83, 1, 10), (5, 11, DISK // MIB - 11), logical=((12, 19),)), 6, "logical"),
}  # fmt: skip


@pytest.mark.parametrize("case", SWAP)
@pytest.mark.programs
def test_add_swap(case: str, tmp_path: Path) -> None:
    make, number, role = SWAP[case]
    disk = make(tmp_path / "disk")
    before = _read(disk)
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        made = table.add_swap(64 * MIB)
        table.write(medium)
    after = _read(disk)
    assert _known(after, number) == made
    assert (made.role, made.kind[-2:]) == (role, "4f" if table.kind == "gpt" else "82")
    assert 63 * MIB <= made.size <= 64 * MIB
    assert made.start % MIB == 0
    assert made.end >= LAST
    for one in before.partitions:
        if one.role != "extended":
            assert _known(after, one.number) == one
    _as_the_tools_see_it(disk, after)


@pytest.mark.parametrize("case", SWAP)
@pytest.mark.programs
def test_add_data(case: str, tmp_path: Path) -> None:
    make, number, role = SWAP[case]
    disk = make(tmp_path / "disk")
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        made = table.add_data(100, "some")
        table.write(medium)
    after = _read(disk)
    assert _known(after, number) == made
    assert (made.role, made.kind[-2:]) == (role, "e4" if table.kind == "gpt" else "83")
    assert MIB <= made.size <= 2 * MIB
    assert made.end >= LAST
    _as_the_tools_see_it(disk, after)


@pytest.mark.programs
def test_swap_then_growth(tmp_path: Path) -> None:
    """The partition that grows stops at the swap"""
    disk = gpt(tmp_path / "disk", (1, 10))
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        swap = table.add_swap(64 * MIB)
        table.grow(1)
        table.write(medium)
    assert _known(_read(disk), 1).end == swap.start


@pytest.mark.parametrize(
    ("make", "size", "words"),
    [
        (lambda p: gpt(p, (1, 10)), DISK, "no room"),
        (lambda p: tables.gpt(p, [Slot(MIB + 8 * n, 8) for n in range(128)], disk_sectors=DISK), MIB, "entries"),
        (lambda p: msdos(p, *[(0x83, n, 1) for n in range(1, 5)]), MIB, "four primary"),
        (lambda p: msdos(p, (5, 1, 9), *[(0x83, n, 1) for n in range(10, 13)], logical=((2, 8),)), MIB, "free"),
    ],
    ids=["too-large", "128-entries", "four-primary", "enclosed-extended"],
)
def test_no_place_for_swap(make: Callable[[Path], Path], size: int, words: str, tmp_path: Path) -> None:
    table = _read(make(tmp_path / "disk"))
    with pytest.raises(TaskError) as error:
        table.add_swap(size)
    assert error.value.code == "E-OPTION"
    assert words in error.value.cause


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_growth_destroys_nothing(data: st.DataObject, tmp_path: Path) -> None:
    """Whatever the layout: after swap and growth the table still passes its own checks, and only one thing grew"""
    borders = data.draw(st.lists(st.integers(2, 110), min_size=2, max_size=8, unique=True).map(sorted))
    ranges = [(left, right - left) for left, right in zip(borders[::2], borders[1::2], strict=False)]
    kind = data.draw(st.sampled_from(["gpt", "msdos"]))
    disk = tmp_path / "disk"
    gpt(disk, *ranges) if kind == "gpt" else msdos(disk, *[(0x83, *one) for one in ranges])
    number = data.draw(st.integers(1, len(ranges)))
    before = _read(disk)
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        if data.draw(st.booleans()) and (kind == "gpt" or len(ranges) < 4):
            table.add_swap(data.draw(st.integers(1, 100)) * MIB)
        table.grow(number)
        table.write(medium)
    after = _read(disk)
    assert after.partitions == table.partitions
    for one in before.partitions:
        now = _known(after, one.number)
        assert now == one or (one.number == number and now.start == one.start and now.size > one.size)


def _table(medium: Medium) -> Table:
    table = partitions.read(medium)
    assert table is not None
    return table


def _read(disk: Path) -> Table:
    with Medium(str(disk)) as medium:
        return _table(medium)


def _known(table: Table, number: int) -> Partition:
    found = table.partition(number)
    assert found is not None
    return found


def _as_the_tools_see_it(disk: Path, table: Table) -> None:
    """sfdisk reads the same partitions and finds no fault; sgdisk neither"""
    dump = subprocess.run(["sfdisk", "-d", disk], capture_output=True, text=True, check=True).stdout
    seen = {
        int(match[1]): (int(match[2]), int(match[3]))
        for match in re.finditer(r"^\S+?disk(\d+) : start= *(\d+), size= *(\d+)", dump, re.MULTILINE)
    }
    assert seen == {one.number: (one.start, one.size) for one in table.partitions}
    verified = subprocess.run(["sfdisk", "--verify", disk], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    if table.kind == "gpt":
        verified = subprocess.run(["sgdisk", "-v", disk], capture_output=True, text=True, check=False)
        assert "No problems found" in verified.stdout, verified.stdout
