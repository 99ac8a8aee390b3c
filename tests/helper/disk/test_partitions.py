"""Which partition tables are accepted and which are refused: each made byte by byte (threat 12)"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_agent.api import TaskError
from helper_agent.disk import partitions
from helper_agent.disk.partitions import Medium, Table
from tests.helper.disk import tables
from tests.helper.disk.tables import SECTORS, Entry, Slot

TWO = [Slot(2048, 20480, name="boot"), Slot(22528, 40960, name="root")]
EXTENDED = Entry(0x05, 4096, 65536)
GPT_END = 0x10000
Make = Callable[[Path], Path]


def _chain(count: int) -> dict[int, list[Entry]]:
    """`count` logical partitions of 8 sectors, each behind its boot record"""
    return {
        4096 + 16 * index: [Entry(0x83, 1, 8)] + ([Entry(0x05, 16 * (index + 1), 16)] if index + 1 < count else [])
        for index in range(count)
    }


class Good(NamedTuple):
    """A table that is accepted; the numbers it has, and a word of its remarks"""

    name: str
    make: Make
    numbers: tuple[int, ...]
    remark: str = ""


class Bad(NamedTuple):
    """A table that is refused with E-PARTITION-TABLE, and words of the cause"""

    name: str
    make: Make
    words: str


GOOD = (
    Good("gpt", lambda p: tables.gpt(p, TWO), (1, 2)),
    Good("gpt-out-of-order", lambda p: tables.gpt(p, TWO[::-1]), (1, 2)),
    Good("gpt-on-larger-disk", lambda p: tables.gpt(p, TWO, disk_sectors=4 * SECTORS), (1, 2)),
    Good("gpt-hybrid", lambda p: tables.gpt(p, TWO, mbr=[Entry(0xEE, 1, 2047), Entry(0x83, 22528, 40960)]), (1, 2),
         "hybrid"),
    Good("gpt-primary-header-damaged", lambda p: tables.gpt(p, TWO, after={512 + 24: b"\xff"}), (1, 2), "its backup"),
    Good("gpt-primary-entries-damaged", lambda p: tables.gpt(p, TWO, after={1024 + 33: b"\xff"}), (1, 2), "its backup"),
    Good("gpt-primary-wiped-on-larger-disk",
         lambda p: tables.gpt(p, TWO, disk_sectors=2 * SECTORS, after={512: bytes(512)}), (1, 2), "its backup"),
    Good("gpt-backup-damaged", lambda p: tables.gpt(p, TWO, after={-512: bytes(8)}), (1, 2), "backup"),
    Good("gpt-backup-cut-off", lambda p: tables.gpt(p, TWO, primary=lambda f: f.update(other=SECTORS + 99)), (1, 2),
         "backup"),
    Good("gpt-empty", lambda p: tables.gpt(p, []), ()),
    Good("msdos-primary", lambda p: tables.msdos(p, [Entry(0x83, 2048, 4096, 0x80)]), (1,)),
    Good("msdos-hole", lambda p: tables.msdos(p, [Entry(0, 0, 0), Entry(0x83, 2048, 4096)]), (2,)),
    Good("msdos-logical", lambda p: tables.msdos(p, [Entry(0x83, 2048, 2048), EXTENDED], records=_chain(3)),
         (1, 2, 5, 6, 7)),
    Good("msdos-first-logical-deleted",
         lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0, 0, 0), Entry(5, 64, 64)],
                                                       4160: [Entry(0x83, 1, 8)]}), (1, 5)),
    Good("msdos-logical-out-of-order",
         lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 4000, 8), Entry(5, 64, 64)],
                                                       4160: [Entry(0x83, 1, 8)]}), (1, 5, 6)),
    Good("msdos-extended-empty", lambda p: tables.msdos(p, [EXTENDED]), (1,), "empty"),
    Good("msdos-with-gpt-remains", lambda p: tables.gpt(p, TWO, mbr=[Entry(0x83, 2048, 4096)]), (1,)),
)  # fmt: skip

BAD = (
    Bad("gpt-both-damaged", lambda p: tables.gpt(p, TWO, after={520: b"\xff", -504: b"\xff"}), "no intact backup"),
    Bad("gpt-overlap", lambda p: tables.gpt(p, [Slot(2048, 4096), Slot(4096, 4096)]), "1 and 2 overlap"),
    Bad("gpt-same-range", lambda p: tables.gpt(p, [Slot(2048, 4096), Slot(2048, 4096)]), "overlap"),
    Bad("gpt-duplicate-guid",
        lambda p: tables.gpt(p, [Slot(2048, 8, tables.DISK_GUID), Slot(4096, 8, tables.DISK_GUID)]), "same GUID"),
    Bad("gpt-over-its-entries", lambda p: tables.gpt(p, [Slot(2, 4096)]), "outside of the usable area"),
    Bad("gpt-past-the-end", lambda p: tables.gpt(p, [Slot(2048, SECTORS)]), "outside of the usable area"),
    Bad("gpt-wraps-around", lambda p: tables.gpt(p, [Slot(2048, 2**64 - 4)]), "ends before it starts"),
    Bad("gpt-ends-before-start", lambda p: tables.gpt(p, [Slot(4096, -100)]), "ends before it starts"),
    Bad("gpt-truncated-disk", lambda p: tables.gpt(p, TWO, sectors=2 * SECTORS, disk_sectors=SECTORS), "usable area"),
    Bad("gpt-a-billion-entries",
        lambda p: tables.gpt(p, TWO, primary=lambda f: f.update(count=2**30), backup=lambda f: f.update(count=2**30)),
        "entries"),
    Bad("gpt-entries-of-no-size",
        lambda p: tables.gpt(p, TWO, primary=lambda f: f.update(size=0), backup=lambda f: f.update(size=0)), "entries"),
    Bad("gpt-entries-past-the-end",
        lambda p: tables.gpt(p, TWO, primary=lambda f: f.update(entries=2**63),
                             backup=lambda f: f.update(entries=2**63)),
        "where they can't be"),
    Bad("gpt-entries-in-a-partition",
        lambda p: tables.gpt(p, TWO, primary=lambda f: f.update(entries=2048), backup=lambda f: f.update(entries=2048)),
        "where they can't be"),
    Bad("gpt-header-of-4-gib",
        lambda p: tables.gpt(p, TWO, primary=lambda f: f.update(header_size=2**32 - 1), after={-512: bytes(8)}),
        "claims a size"),
    Bad("gpt-header-elsewhere", lambda p: tables.gpt(p, TWO, primary=_moved, after={-512: bytes(8)}), "says it is in"),
    Bad("gpt-without-mbr", lambda p: tables.gpt(p, TWO, after={0: bytes(512)}), "without its protective MBR"),
    Bad("gpt-for-4096-byte-sectors", lambda p: tables.gpt(p, TWO, sector_size=4096), "in sector 1 is missing"),
    Bad("gpt-for-4096-without-mbr", lambda p: tables.gpt(p, TWO, sector_size=4096, after={0: bytes(512)}), "4096"),
    Bad("msdos-overlap", lambda p: tables.msdos(p, [Entry(0x83, 2048, 4096), Entry(0x83, 4096, 4096)]), "overlap"),
    Bad("msdos-past-the-end", lambda p: tables.msdos(p, [Entry(0x83, 2048, SECTORS)]), "behind the disk's end"),
    Bad("msdos-over-the-table", lambda p: tables.msdos(p, [Entry(0x83, 0, 4096)]), "covers the table"),
    Bad("msdos-bad-status", lambda p: tables.msdos(p, [Entry(0x83, 2048, 4096, 0x33)]), "boot sector's entries"),
    Bad("msdos-two-extended", lambda p: tables.msdos(p, [EXTENDED, Entry(0x0F, 69632, 64)]), "both extended"),
    Bad("ebr-loop-to-itself",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 1, 8), Entry(5, 64, 64)],
                                                      4160: [Entry(0x83, 1, 8), Entry(5, 64, 64)]}), "loops"),
    Bad("ebr-loop-of-two",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 1, 8), Entry(5, 64, 64)],
                                                      4160: [Entry(0x83, 1, 8), Entry(5, 128, 64)],
                                                      4224: [Entry(0x83, 1, 8), Entry(5, 64, 64)]}), "loops"),
    Bad("ebr-chain-too-long", lambda p: tables.msdos(p, [EXTENDED], records=_chain(4000)), "more than 60"),
    Bad("ebr-link-outside",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 1, 8), Entry(5, 2**31, 64)]}), "leads out"),
    Bad("ebr-link-to-no-record",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 1, 8), Entry(5, 64, 64)]}),
        "without a boot record"),
    Bad("ebr-first-is-garbage",
        lambda p: tables.msdos(p, [EXTENDED], after={4096 * 512: b"\xe5" * 512}), "without a boot record"),
    Bad("ebr-links-to-data",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 1, 8), Entry(0x83, 64, 64)]}),
        "something else"),
    Bad("ebr-four-entries",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 1, 8), Entry(0, 0, 0), Entry(0x83, 64, 8)]}),
        "no tool makes"),
    Bad("logical-outside",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 1, 70000)]}), "outside of the extended"),
    Bad("logical-overlap",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 128, 80), Entry(5, 64, 64)],
                                                      4160: [Entry(0x83, 100, 64)]}), "overlap"),
    Bad("logical-over-a-record",
        lambda p: tables.msdos(p, [EXTENDED], records={4096: [Entry(0x83, 1, 80), Entry(5, 64, 64)],
                                                      4160: [Entry(0x83, 100, 64)]}), "covers the boot record"),
)  # fmt: skip


def _moved(fields: dict[str, int]) -> None:
    fields["own"] = 5


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_accepted(case: Good, tmp_path: Path) -> None:
    table = _read(case.make(tmp_path / "disk"))
    assert table is not None
    assert tuple(one.number for one in table.partitions) == case.numbers
    assert case.remark in " ".join(table.remarks)
    assert bool(case.remark) == bool(table.remarks)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_refused(case: Bad, tmp_path: Path) -> None:
    with pytest.raises(TaskError) as error:
        _read(case.make(tmp_path / "disk"))
    assert error.value.code == "E-PARTITION-TABLE"
    assert case.words in error.value.cause


@pytest.mark.parametrize("content", [b"", tables.ext4_head(), b"XFSB" + bytes(600)], ids=["zeros", "ext4", "xfs"])
def test_no_table(content: bytes, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(content.ljust(2 * 1024 * 1024, b"\0"))
    assert _read(disk) is None


@pytest.mark.parametrize("words", [{3: b"NTFS    "}, {11: b"\0\2", 16: b"\2", 82: b"FAT32   "}], ids=["ntfs", "fat"])
def test_a_boot_sector_is_no_table(words: dict[int, bytes], tmp_path: Path) -> None:
    """Its code lies where a table would, and may look like one"""
    assert _read(tables.msdos(tmp_path / "disk", [Entry(0x83, 2048, 4096)], after=words)) is None


def test_a_table_wins_over_an_old_filesystem(tmp_path: Path) -> None:
    """A disk that was one ext4 once still has its superblock in sector 2"""
    disk = tables.msdos(tmp_path / "disk", [Entry(0x83, 2048, 4096)], after={1080: b"\x53\xef"})
    assert _read(disk) is not None


@pytest.mark.parametrize("sector_size", [512, 4096])
def test_sector_sizes(sector_size: int, tmp_path: Path) -> None:
    disk = tables.gpt(tmp_path / "disk", TWO, sector_size=sector_size)
    with Medium(str(disk), sector_size=sector_size) as medium:
        table = partitions.read(medium)
    assert table is not None
    assert [one.start for one in table.partitions] == [2048, 22528]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    base=st.sampled_from([GOOD[0], GOOD[3], GOOD[12]]),
    changes=st.lists(st.tuples(st.integers(0, 8192), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4),
)
def test_hostile_bytes_are_a_verdict(base: Good, changes: list[tuple[int, bytes]], tmp_path: Path) -> None:
    """Whatever stands in the table, the answer is a table that holds together, none, or E-PARTITION-TABLE"""
    disk = base.make(tmp_path / "disk")
    with disk.open("r+b") as file:
        for offset, content in changes:
            file.seek(offset if offset < 4096 else 4096 * 512 + offset - 4096)
            file.write(content)
    try:
        table = _read(disk)
    except TaskError as error:
        assert error.code == "E-PARTITION-TABLE"
        return
    for one in table.partitions if table else ():
        assert 0 < one.start < one.end <= SECTORS


def _read(disk: Path) -> Table | None:
    with Medium(str(disk)) as medium:
        return partitions.read(medium)
