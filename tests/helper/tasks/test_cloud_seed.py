from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from helper_agent.api import Context, TaskError
from helper_agent.declaration import has_what_it_needs
from helper_agent.disk import devices, partitions, seed
from helper_agent.tasks import cloud_seed
from helper_host import seed_image
from tests.helper.disk import tables
from tests.helper.disk.tables import Entry, Slot
from tests.helper.support import INSTANCE, Bench

IMAGE = seed_image.make({"meta-data": b"{}", "user-data": b"#cloud-config\n"}, INSTANCE.uuid)
PACKED = seed_image.packed(IMAGE)
MIB = 1 << 20


class Devices(NamedTuple):
    """What the task asks the system for"""

    disks: dict[int, str]

    @property
    def disk(self) -> str:
        """The first one"""
        return self.disks[0]


def blank(path: Path, mib: int = 4) -> Path:
    with path.open("wb") as file:
        file.truncate(mib * MIB)
    return path


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setattr(devices, "reread", lambda _: None)
    table = tables.gpt(tmp_path / "disk0", [Slot(2048, 4096)])
    return [table, blank(tmp_path / "disk1"), blank(tmp_path / "disk2")]


def run(bench: Bench, disks: list[Path], **options: object) -> Bench:
    found = Devices({number: str(path) for number, path in enumerate(disks)})
    context: Context = bench.context(cloud_seed.TASK, {"image": PACKED, **options}, devices=found, mounted=False)
    cloud_seed.run(context)
    return bench


def probed(path: Path, offset: int = 0) -> dict[str, str]:
    argv = ["blkid", "--probe", "--output", "export", "--offset", str(offset), str(path)]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in said.splitlines())


@pytest.mark.programs
@pytest.mark.parametrize(("options", "number"), [({}, 2), ({"disk": 1}, 1)])
def test_a_disk(bench: Bench, disks: list[Path], options: dict[str, int], number: int) -> None:
    before = [path.read_bytes() for path in disks]
    for _ in range(2):
        run(bench, disks, **options)
    assert disks[number].read_bytes()[: len(IMAGE)] == IMAGE
    found = probed(disks[number])
    assert (found["TYPE"], found["LABEL"]) == ("iso9660", "cidata")
    assert [path.read_bytes() for path in disks if path != disks[number]] == [
        content for path, content in zip(disks, before, strict=True) if path != disks[number]
    ]


@pytest.mark.parametrize("at", [0, 510, 3 * MIB, 4 * MIB - 1])
def test_a_disk_with_something_on_it(bench: Bench, disks: list[Path], at: int) -> None:
    with disks[2].open("r+b") as file:
        file.seek(at)
        file.write(b"x")
    before = disks[2].read_bytes()
    with pytest.raises(TaskError, match="has something on it") as caught:
        run(bench, disks)
    assert caught.value.code == "E-OPTION"
    assert disks[2].read_bytes() == before


def test_a_disk_that_is_not_there(bench: Bench, disks: list[Path]) -> None:
    with pytest.raises(TaskError, match="no disk 7") as caught:
        run(bench, disks, disk=7)
    assert "0, 1, 2" in caught.value.remedy


def test_a_disk_that_is_too_small(bench: Bench, disks: list[Path]) -> None:
    os.truncate(disks[2], 32768)
    with pytest.raises(TaskError, match="32 KiB"):
        run(bench, disks)


@pytest.mark.programs
@pytest.mark.parametrize("options", [{}, {"place": "partition"}])
@pytest.mark.parametrize("kind", ["gpt", "msdos"])
def test_a_partition(bench: Bench, disks: list[Path], kind: str, options: dict[str, str]) -> None:
    if kind == "msdos":
        tables.msdos(disks[0], [Entry(0x83, 2048, 4096)])
    run(bench, disks[:1], **options)
    table = partitions.read_disk(str(disks[0]))
    assert table is not None
    made = table.partitions[-1]
    assert (made.number, made.size) == (2, 2048)
    assert made.end > table.sectors - 2 * 2048
    assert probed(disks[0], made.start * 512)["LABEL"] == "cidata"
    subprocess.run(["sfdisk", "--verify", disks[0]], check=True, capture_output=True)
    # The instance empties it, a second run takes it again
    run(bench, disks[:1], **options)
    again = partitions.read_disk(str(disks[0]))
    assert again is not None and len(again.partitions) == 2


def test_an_emptied_partition_is_known_by_its_label(bench: Bench, disks: list[Path]) -> None:
    run(bench, disks[:1])
    table = partitions.read_disk(str(disks[0]))
    assert table is not None and table.partitions[-1].label == seed.LABEL
    with disks[0].open("r+b") as file:
        file.seek(table.partitions[-1].start * 512)
        file.write(bytes(len(IMAGE)))
    run(bench, disks[:1])
    again = partitions.read_disk(str(disks[0]))
    assert again is not None and len(again.partitions) == 2


def test_no_table(bench: Bench, disks: list[Path]) -> None:
    with pytest.raises(TaskError, match="without a partition table"):
        run(bench, [disks[1]])


def test_no_room(bench: Bench, disks: list[Path]) -> None:
    tables.gpt(disks[0], [Slot(2048, tables.SECTORS - 4096)])
    with pytest.raises(TaskError, match="no room"):
        run(bench, disks[:1])


def test_nothing_asked_for() -> None:
    assert not has_what_it_needs(cloud_seed.TASK, {"place": "disk"})
