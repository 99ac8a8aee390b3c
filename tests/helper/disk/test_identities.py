"""New UUIDs: what they are made from, and what the partition tables and filesystems say afterwards, by others' tools"""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from helper_agent.disk import identities, partitions
from helper_agent.disk.partitions import Medium, Table
from helper_agent.disk.signatures import Signature, probe
from helper_agent.filesystems.base import of
from helper_agent.run import run
from tests.helper.disk import tables
from tests.helper.disk.tables import Entry, Slot
from tests.helper.support import Recorded

UUID = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"
SEED = "a seed"
GUIDS = [uuid.UUID("aaaaaaaa-1111-4222-8333-444444444444"), uuid.UUID("bbbbbbbb-1111-4222-8333-444444444444")]
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-U", UUID],
    "xfs": ["mkfs.xfs", "-q", "-m", f"uuid={UUID}"],
    "btrfs": ["mkfs.btrfs", "-q", "-U", UUID],
    "vfat": ["mkfs.vfat", "-F", "32", "-i", "5A5E0001"],
    "swap": ["mkswap", "-q", "-U", UUID],
}
CHECK = {
    "ext4": ["e2fsck", "-fn"],
    "xfs": ["xfs_repair", "-n"],
    "btrfs": ["btrfs", "check", "--readonly"],
    "vfat": ["fsck.vfat", "-n"],
    "swap": ["swaplabel"],
}


class System(NamedTuple):
    """What `plan` asks for"""

    disk: str
    table: Table | None
    filesystems: tuple[Signature, ...]


@pytest.mark.parametrize("old", [UUID, "5A5E-0001", "1234abcd"])
def test_fresh_ones(old: str) -> None:
    new = identities.fresh(SEED, old)
    assert new != old
    assert re.sub(r"[0-9a-fA-F]", "0", new) == re.sub(r"[0-9a-fA-F]", "0", old)
    assert new == (old.upper() and new.upper() if "A" in old else new.lower())
    assert identities.fresh(SEED, old) == new
    assert identities.fresh("another", old) != new
    if len(old) == 36:
        assert uuid.UUID(new).version == 4 and uuid.UUID(new).variant == uuid.RFC_4122


def test_no_form() -> None:
    with pytest.raises(ValueError, match="ntfs"):
        identities.fresh(SEED, "ntfs")


def on(disk: Path, table: Table | None, *filesystems: Signature) -> identities.Identities:
    here = tuple(one._replace(disk=str(disk)) for one in filesystems)
    return identities.plan(cast(Any, System(str(disk), table, here)), SEED)


def test_what_is_left(tmp_path: Path) -> None:
    physical = Signature("/dev/vda2", "LVM2_member", "abcdef-GHIJ", "")
    other = Signature("/dev/vdb", "ext4", UUID, "", disk="/dev/vdb")
    planned = identities.plan(cast(Any, System("/dev/vda", None, (physical._replace(disk="/dev/vda"), other))), SEED)
    assert planned.left == (physical._replace(disk="/dev/vda"),)
    assert planned.filesystems == () and planned.texts == {}


@pytest.mark.programs
@pytest.mark.parametrize("kind", ["gpt", "msdos"])
def test_tables(kind: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    if kind == "gpt":
        slots = [Slot(2048, 20480, GUIDS[0], "boot"), Slot(22528, 40960, GUIDS[1], "root")]
        tables.gpt(disk, slots, disk_sectors=2 * tables.SECTORS)
    else:
        chain = {40960: [Entry(0x83, 2048, 4096)]}
        tables.msdos(disk, [Entry(0x83, 2048, 4096, 0x80), Entry(0x05, 40960, 65536)], records=chain)
    before = shown(disk)
    with Medium(str(disk), write=True) as medium:
        table = partitions.read(medium)
        assert table is not None
        planned = on(disk, table)
        table.identify(lambda old: identities.fresh(SEED, old))
        table.write(medium)
    after = shown(disk)
    assert planned.texts[before["id"]] == after["id"] != before["id"]
    for old, new in zip(before["partitions"], after["partitions"], strict=True):
        assert {**old, "uuid": ""} == {**new, "uuid": ""}
        if kind == "gpt":
            assert planned.texts[old["uuid"]] == new["uuid"] != old["uuid"]
    again = partitions.read_disk(str(disk))
    assert again is not None and not again.remarks
    assert [one.uuid for one in again.partitions] == [one.uuid for one in table.partitions]
    assert [planned.texts.get(one.uuid) for one in again.partitions] == [None] * len(again.partitions)
    if kind == "gpt":
        done = subprocess.run(["sgdisk", "--verify", str(disk)], check=True, capture_output=True, text=True)
        assert "No problems found" in done.stdout


def shown(disk: Path) -> dict[str, Any]:
    """What sfdisk says of it, GUIDs in lower case"""
    done = subprocess.run(["sfdisk", "--json", str(disk)], check=True, capture_output=True, text=True)
    table = json.loads(done.stdout.lower())["partitiontable"]
    table["id"] = table["id"].removeprefix("0x")
    return dict(table)


@pytest.mark.programs
@pytest.mark.parametrize("kind", MAKE)
def test_filesystems(kind: str, tmp_path: Path) -> None:
    """By the tools that the helper has, on a file: sound afterwards, as their own checks say"""
    image = tmp_path / kind
    with image.open("wb") as file:
        file.truncate(320 << 20)
    run([*MAKE[kind], str(image)])
    with Medium(str(image)) as medium:
        found = probe(medium, 0, medium.size)
    assert found is not None and found[0] == kind
    new = identities.fresh(SEED, found[1])
    log = Recorded()
    if kind == "swap":
        from helper_agent.disk import swap

        swap.identify(str(image), new, run)
    else:
        known = of(kind)
        assert known is not None and known.identify is not None
        known.identify(str(image), new, run, log)
    with Medium(str(image)) as medium:
        assert probe(medium, 0, medium.size) == (kind, new, found[2])
    argv = ["blkid", "-p", "-o", "value", "-s", "UUID", str(image)]
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == f"{new}\n"
    run([*CHECK[kind], str(image)])
    assert log.of("warning") == []
