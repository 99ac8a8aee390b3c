"""Data disks and swap disks on files: what is formatted, what is kept, what is refused"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from helper_agent.api import CommandFailed, TaskError
from helper_agent.disk import signatures
from helper_agent.disk.medium import Medium
from helper_agent.run import run
from helper_agent.tasks import data_disks, data_mounts, swap_disk
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make

UUID = "3f2b1c52-8a55-5f3c-9a0e-0d7b6b1c2d3e"
OTHER = "11111111-8a55-5f3c-9a0e-0d7b6b1c2d3e"
MIB = 1 << 20
SIZES = {"ext4": 16, "xfs": 300, "btrfs": 128}


class Devices(NamedTuple):
    """What the tasks ask the system for"""

    disks: Mapping[int, str]
    os_release: Mapping[str, str] = {}


class Disks:
    """Files for disks 1 and 2, and the tasks on them with the real mkfs"""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.paths = {index: folder / f"disk{index}" for index in (1, 2)}
        for path in self.paths.values():
            self.blank(path)

    def blank(self, path: Path, mib: int = 300) -> None:
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            file.truncate(mib * MIB)

    @property
    def devices(self) -> Devices:
        return Devices({0: "/nowhere", **{index: str(path) for index, path in self.paths.items()}})

    def format(self, *items: str) -> None:
        context = self.bench.context(data_disks.TASK, {"disks": list(items)}, devices=self.devices, mounted=False)
        context._run = run
        data_disks.run(context)

    def swap(self, index: int = 1, uuid: str = UUID) -> None:
        options = {"disk": index, "uuid": uuid}
        swap_disk.run(self.bench.context(swap_disk.TASK, options, devices=self.devices, mounted=False))

    def found(self, index: int = 1) -> tuple[str, str, str] | None:
        with Medium(str(self.paths[index])) as medium:
            return signatures.probe(medium, 0, medium.size)

    def refused(self, *items: str) -> str:
        before = {index: path.read_bytes() for index, path in self.paths.items()}
        with pytest.raises(TaskError) as caught:
            if items:
                self.format(*items)
            else:
                self.swap()
        assert caught.value.code == "E-OPTION"
        assert caught.value.remedy
        assert {index: path.read_bytes() for index, path in self.paths.items()} == before
        return caught.value.cause


@pytest.fixture
def disks(bench: Bench, tmp_path: Path) -> Disks:
    return Disks(bench, tmp_path)


@pytest.mark.programs
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_blank_disk(disks: Disks, kind: str) -> None:
    item = f"1 /srv {kind} {UUID} DATA"
    disks.format(item)
    assert disks.found() == (kind, UUID, "DATA")
    assert "Disk 1: " + kind + ", made" in disks.bench.log.of("info")
    before = disks.paths[1].read_bytes()
    disks.format(item.replace("/srv", "/data"))
    assert disks.paths[1].read_bytes() == before
    assert f"Disk 1: {kind}, was there, its data stays" in disks.bench.log.of("info")
    assert f"{kind} (label DATA, {UUID}) of an earlier installation" in disks.refused(f"1 /srv ext2 {UUID}")
    assert f"{kind} (label DATA, {UUID}), which is not of this instance" in disks.refused(f"1 /srv {kind} {OTHER}")


@pytest.mark.programs
def test_all_or_nothing(disks: Disks) -> None:
    disks.paths[2].write_bytes(b"precious".ljust(MIB, b"\0"))
    assert "Disk 2 holds data that is not known" in disks.refused(f"1 /srv ext4 {UUID}", f"2 /data ext4 {OTHER}")
    assert disks.found() is None


@pytest.mark.programs
@pytest.mark.parametrize(
    ("what", "words"),
    [
        (["mkfs.vfat"], "vfat"),
        (["mkswap"], "swap"),
        (["mkfs.ext4", "-q", "-L", "old"], "ext4 (label old, "),
        (["sfdisk", "--quiet", "--label", "gpt"], "a partition table"),
        (["sfdisk", "--quiet", "--label", "dos"], "a partition table"),
    ],
)
def test_foreign_data(disks: Disks, what: list[str], words: str) -> None:
    script = b"size=100M\n" if what[0] == "sfdisk" else None
    subprocess.run([*what, str(disks.paths[1])], input=script, check=True, capture_output=True)
    assert f"Disk 1 holds {words}" in disks.refused(f"1 /srv xfs {UUID}")


@pytest.mark.parametrize("at", [0, 512, MIB - 1, 300 * MIB - 1, 299 * MIB, 300 * MIB - 512])
def test_one_byte_is_enough(disks: Disks, at: int) -> None:
    with disks.paths[1].open("r+b") as file:
        file.seek(at)
        file.write(b"\1")
    assert "data that is not known here" in disks.refused(f"1 /srv ext4 {UUID}")
    assert "data that is not known here" in disks.refused()


def test_a_disk_that_is_not_there(disks: Disks) -> None:
    for index in ("0", "3"):
        assert f"no disk {index} for data" in disks.refused(f"{index} /srv ext4 {UUID}")


@pytest.mark.programs
def test_a_disk_that_is_too_small(disks: Disks) -> None:
    disks.blank(disks.paths[1], 2)
    with pytest.raises(TaskError, match="Disk 1 could not be formatted as xfs") as caught:
        disks.format(f"1 /srv xfs {UUID}")
    assert caught.value.output
    assert isinstance(caught.value.__cause__, CommandFailed)


def test_swap(disks: Disks) -> None:
    disks.swap()
    assert disks.found() == ("swap", UUID, "")
    disks.swap(uuid=OTHER)
    assert disks.found() == ("swap", OTHER, "")


@pytest.mark.programs
def test_no_swap_over_a_filesystem(disks: Disks) -> None:
    disks.format(f"1 /srv ext4 {UUID}")
    assert "ext4" in disks.refused()


@pytest.mark.programs
def test_newer_features_are_left_out(disks: Disks) -> None:
    disks.format(f"1 /srv ext4 {UUID}")
    features = run(["dumpe2fs", "-h", str(disks.paths[1])]).text
    assert "metadata_csum" in features
    assert "metadata_csum_seed" not in features
    assert "orphan_file" not in features
    disks.format(f"2 /data xfs {OTHER}")
    version = run(["xfs_db", "-r", "-c", "version", str(disks.paths[2])]).text
    assert "BIGTIME" not in version
    assert "INOBTCNT" not in version


# --- mounts -----------------------------------------------------------------------------------------------------------

ITEMS = [f"1 /srv/data ext4 {UUID}", f"2 /var/lib/pg xfs {OTHER} PG"]
ROOT_LINE = "UUID=3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e / ext4 errors=remount-ro 0 1\n"


def test_mounts(context: Make, bench: Bench) -> None:
    for _ in range(2):
        data_mounts.run(context(data_mounts.TASK, {"disks": ITEMS}))
        assert bench.tree.text("/etc/fstab") == (
            f"{ROOT_LINE}UUID={UUID} /srv/data ext4 defaults,nofail 0 2\n"
            f"UUID={OTHER} /var/lib/pg xfs defaults,nofail 0 0\n"
        )
        assert bench.tree.mode("/srv/data") == 0o755
    assert bench.log.of("warning") == []


def test_what_is_hidden_is_said(context: Make, bench: Bench) -> None:
    bench.tree.put("/srv/data/file", "x")
    (bench.tree / "/srv/data").chmod(0o700)
    data_mounts.run(context(data_mounts.TASK, {"disks": ITEMS[:1]}))
    assert "in /srv/data will be hidden by disk 1" in bench.log.of("warning")[0]
    assert bench.tree.mode("/srv/data") == 0o700


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
@pytest.mark.parametrize("path", ["/etc/fstab", "/srv/data"])
def test_trapped(context: Make, bench: Bench, trap: traps.Trap, path: str) -> None:
    made = context(data_mounts.TASK, {"disks": ITEMS})
    traps.spring(trap, bench.tree, path, lambda: data_mounts.run(made))


@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(context: Make, bench: Bench, trap: traps.Trap) -> None:
    made = context(data_mounts.TASK, {"disks": ITEMS})
    traps.spring(trap, bench.tree, "/srv", lambda: data_mounts.run(made))


@pytest.mark.parametrize("item", ["", "1 /srv ext4", "x /srv ext4 y", "1 srv ext4 y", "1 /srv ext4 y z a"])
def test_no_item(context: Make, item: str) -> None:
    with pytest.raises(TaskError, match="is no data disk"):
        data_mounts.run(context(data_mounts.TASK, {"disks": [item]}))
