"""Swap moved out of the way: what the tools then read is what we meant, at any moment, and nothing else moved"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_agent.disk import signatures, swap, trailing
from helper_agent.disk.partitions import Medium
from tests.helper.disk import tables
from tests.helper.disk.tables import Entry, Slot
from tests.helper.disk.test_growth import DISK, LAST, MIB, _as_the_tools_see_it, _known, _read, _table, gpt, msdos

UUID = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"
END = DISK // MIB


def with_swap(disk: Path, *numbers: int, magic: bytes = b"SWAPSPACE2") -> Path:
    """A swap area in each of the partitions, with a UUID that tells which"""
    table = _read(disk)
    with Medium(str(disk), write=True) as medium:
        for number in numbers:
            one = _known(table, number)
            page = swap.header(one.size * 512, f"{UUID[:-2]}{number:02d}")
            medium.write(one.start, page[:-10] + magic.ljust(10, b"\0"))
    return disk


def grow(disk: Path, number: int) -> tuple[list[int], trailing.Obstacle | None]:
    """As the task does it; which partitions were moved"""
    with Medium(str(disk), write=True) as medium:
        table = _table(medium)
        moves, obstacle = trailing.plan(table, number, medium)
        trailing.carry_out(moves, table, medium)
        table.grow(number)
        table.write(medium)
    return sorted(move.partition.number for move in moves), obstacle


# What is on the disk, which partition grows, which are moved, and where in MiB the next one then begins
MOVES: dict[str, tuple[Callable[[Path], Path], int, list[int], int]] = {
    "gpt": (lambda p: with_swap(gpt(p, (1, 10), (11, 20), (31, 8)), 3), 2, [3], LAST // MIB - 8),
    "msdos-by-less-than-its-size": (
        lambda p: with_swap(msdos(p, (0x83, 1, 10), (0x82, 11, END - 14)), 2), 1, [2], 14),
    "gpt-two": (lambda p: with_swap(gpt(p, (1, 10), (11, 4), (20, 6)), 2, 3), 1, [2, 3], LAST // MIB - 10),
    "gpt-far-behind": (
        lambda p: with_swap(gpt(p, (1, 10), (11, 4), (116, 8)), 2, 3), 1, [2, 3], LAST // MIB - 12),
    "msdos": (lambda p: with_swap(msdos(p, (0x83, 1, 10), (0x82, 11, 8)), 2), 1, [2], END - 8),
    "msdos-in-extended": (
        lambda p: with_swap(msdos(p, (0x83, 1, 10), (5, 11, 9), logical=((12, 8),)), 5), 1, [2], END - 9),
    "msdos-two-in-extended": (
        lambda p: with_swap(msdos(p, (0x83, 1, 10), (5, 11, 12), logical=((12, 4), (17, 6))), 5, 6), 1, [2], END - 12),
    "msdos-logical": (
        lambda p: with_swap(msdos(p, (0x83, 1, 5), (5, 11, 20), logical=((12, 9), (22, 9))), 6), 5, [6], END - 10),
    "msdos-primary-behind-extended": (
        lambda p: with_swap(msdos(p, (5, 11, 20), (0x82, 40, 8), logical=((12, 9), (22, 9))), 2, 6),
        5, [2, 6], END - 18),
}  # fmt: skip


@pytest.mark.programs
@pytest.mark.parametrize("case", MOVES)
def test_moved(case: str, tmp_path: Path) -> None:
    make, number, expected, end = MOVES[case]
    disk = make(tmp_path / "disk")
    before = _read(disk)
    assert grow(disk, number) == (expected, None)
    after = _read(disk)
    assert _known(after, number).end == end * MIB
    for one in before.partitions:
        now = _known(after, one.number)
        assert (now.uuid, now.kind) == (one.uuid, one.kind)
        if one.number != number and one.role != "extended":
            assert now.size == one.size
        with Medium(str(disk)) as medium:
            found = signatures.probe(medium, now.start * 512, now.size * 512)
        if found and found[0] == "swap":
            assert found[1].endswith(f"{one.number:02d}")
    _as_the_tools_see_it(disk, after)
    assert grow(disk, number) == ([], None), "twice is once"


OBSTACLES: dict[str, tuple[Callable[[Path], Path], int, str]] = {
    "data": (lambda p: gpt(p, (1, 10), (11, 20)), 2, "is no swap space"),
    "data-behind-swap": (lambda p: with_swap(gpt(p, (1, 10), (11, 8), (20, 8)), 2), 3, "is no swap space"),
    "swap-behind-data": (lambda p: with_swap(gpt(p, (1, 10), (11, 8), (20, 8)), 3), 2, "is no swap space"),
    "ext4": (lambda p: _ext4(gpt(p, (1, 10), (11, 20)), 11), 2, "holds ext4"),
    "extended-with-data": (
        lambda p: with_swap(msdos(p, (0x83, 1, 10), (5, 11, 20), logical=((12, 9), (22, 9))), 5), 2,
        "holds partition 6, which is no swap space"),
    "empty-extended": (lambda p: msdos(p, (0x83, 1, 10), (5, 11, 20)), 2, "is an extended partition"),
    "hybrid": (
        lambda p: with_swap(tables.gpt(p, [Slot(MIB, MIB), Slot(2 * MIB, MIB)], disk_sectors=DISK,
                                       mbr=[Entry(0xEE, 1, MIB - 1), Entry(0x82, 2 * MIB, MIB)]), 2), 2, "hybrid"),
    "two-in-extended-by-little": (
        lambda p: with_swap(msdos(p, (0x83, 1, 10), (5, END - 20, 12), logical=((END - 19, 4), (END - 14, 6))), 5, 6),
        2, "so little"),
}  # fmt: skip


def _ext4(disk: Path, start: int) -> Path:
    with Medium(str(disk), write=True) as medium:
        medium.write(start * MIB, tables.ext4_head())
    return disk


@pytest.mark.parametrize("case", OBSTACLES)
def test_in_the_way(case: str, tmp_path: Path) -> None:
    make, number, words = OBSTACLES[case]
    disk = make(tmp_path / "disk")
    before = _read(disk).partitions
    moved, obstacle = grow(disk, 1)
    assert not moved
    assert obstacle is not None
    assert obstacle.number == number
    assert words in obstacle.what
    after = _read(disk)
    assert [one for one in after.partitions if one.number != 1] == [one for one in before if one.number != 1]


def test_nothing_is_missed_where_there_is_no_room(tmp_path: Path) -> None:
    disk = msdos(tmp_path / "disk", (0x83, 1, 10), (0x83, 11, END - 11))
    assert grow(disk, 1) == ([], None)


def test_a_hibernated_systems_image_is_dropped(tmp_path: Path) -> None:
    disk = with_swap(gpt(tmp_path / "disk", (1, 10), (11, 8)), 2, magic=b"S1SUSPEND")
    grow(disk, 1)
    swap_now = _known(_read(disk), 2)
    with Medium(str(disk)) as medium:
        assert signatures.probe(medium, swap_now.start * 512, swap_now.size * 512) == ("swap", f"{UUID[:-2]}02", "")


class Cut(Exception):
    """The power fails"""


@pytest.mark.parametrize("case", MOVES)
def test_whenever_it_is_interrupted_the_table_is_whole(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each write is the last one once"""
    make, number, _, _ = MOVES[case]
    for writes in range(40):
        disk = make(tmp_path / "disk")
        left = writes
        real = Medium.write

        def write(medium: Medium, sector: int, content: bytes, real: Callable[..., None] = real) -> None:
            nonlocal left
            if not left:
                raise Cut
            left -= 1
            real(medium, sector, content)

        before = _read(disk)
        with monkeypatch.context() as patch:
            patch.setattr(Medium, "write", write)
            try:
                grow(disk, number)
            except Cut:
                done = False
            else:
                done = True
        after = _read(disk)
        assert {one.number for one in after.partitions} == {one.number for one in before.partitions}
        assert _known(after, number).start == _known(before, number).start
        if done:
            return
    raise AssertionError("it never ended")


@pytest.mark.programs
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_the_layout(data: st.DataObject, tmp_path: Path) -> None:
    """What isn't swap stays where it is; the table passes its own checks, and sfdisk's"""
    kind = data.draw(st.sampled_from(["gpt", "msdos", "logical"]))
    most = 110 if kind == "gpt" else END - 4
    borders = data.draw(st.lists(st.integers(2, most), min_size=2, max_size=8, unique=True).map(sorted))
    ranges = [(left, right - left) for left, right in zip(borders[::2], borders[1::2], strict=False)]
    disk = tmp_path / "disk"
    disk.unlink(missing_ok=True)
    if kind == "gpt":
        gpt(disk, *ranges)
    elif kind == "logical" and len(ranges) > 1 and all(size > 1 for _, size in ranges):
        # All but the first are logical, each with its boot record in its first MiB
        inner = tuple((start + 1, size - 1) for start, size in ranges[1:])
        (base, _), last = ranges[1], ranges[-1]
        msdos(disk, (0x83, *ranges[0]), (5, base, sum(last) - base), logical=inner)
    else:
        msdos(disk, *[(0x83, *one) for one in ranges])
    before = _read(disk)
    plain = [one.number for one in before.partitions if one.role != "extended"]
    number = data.draw(st.sampled_from(plain))
    swaps = data.draw(st.sets(st.sampled_from(plain))) - {number}
    with_swap(disk, *swaps)
    grow(disk, number)
    after = _read(disk)
    for one in before.partitions:
        now = _known(after, one.number)
        assert now.uuid == one.uuid
        if one.number == number:
            assert now.start == one.start
            assert now.size >= one.size
        elif one.number in swaps:
            assert now.size == one.size
            assert now.start >= one.start
            with Medium(str(disk)) as medium:
                assert signatures.probe(medium, now.start * 512, now.size * 512)[1].endswith(f"{one.number:02d}")  # type: ignore[index]
        elif one.role != "extended":
            assert now == one
    _as_the_tools_see_it(disk, after)
