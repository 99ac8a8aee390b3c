"""What `resize` makes grow, and what it refuses"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helper_agent.api import Skip, TaskError
from helper_agent.disk import growth
from helper_agent.disk.signatures import Layer, Signature
from helper_agent.disk.table import Partition
from helper_agent.tasks import grow_filesystem, grow_partition, grow_volumes, unlock
from helper_kit.rehearsal import DEVICES
from tests.helper.support import Bench, Tree

LUKS = Layer("luks", ("/dev/vda4",), "helper-luks-0", "/dev/mapper/helper-luks-0")
LVM = Layer("lvm", ("/dev/vda5",), "vg/root", "/dev/mapper/vg-root")


def on(number: int, device: str, kind: str, *stack: Layer) -> Signature:
    return Signature(device, kind, "", "", disk="/dev/vda", number=number, stack=stack)


FILESYSTEMS = (
    on(2, "/dev/vda2", "vfat"),
    on(3, "/dev/vda3", "xfs"),
    on(4, "/dev/vda4", "crypto_LUKS"),
    on(5, "/dev/vda5", "LVM2_member"),
    on(4, LUKS.path, "ext4", LUKS),
    on(5, LVM.path, "ext4", LVM),
    Signature("/dev/vdb3", "ext4", "7", "", disk="/dev/vdb", number=3),
)


class Table:
    """As much of one as is asked for"""

    partitions = (
        Partition(1, 2048, 2048, "0fc63daf-8483-4772-8e79-3d69d8477de4", ""),
        Partition(2, 4096, 2048, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", ""),
        *(Partition(number, number << 12, 2048, "83", "") for number in (3, 4, 5, 6)),
        Partition(7, 7 << 12, 2048, "0f", "", "", "extended"),
        Partition(8, 8 << 12, 2048, "21686148-6449-6e6f-744e-656564454649", ""),
        Partition(9, 9 << 12, 2048, "ef", ""),
    )

    def partition(self, number: int) -> Partition | None:
        return next((one for one in self.partitions if one.number == number), None)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Tree(tmp_path / "tree"))


def target(bench: Bench, resize: str | None, **changes: Any) -> growth.Target:
    system = DEVICES._replace(**{"table": Table(), "filesystems": FILESYSTEMS, **changes})
    options = {} if resize is None else {"partition": resize}
    return growth.target(bench.context(grow_partition.TASK, options, devices=system))


@pytest.mark.parametrize("resize", [None, "auto", ""])
def test_the_root_by_itself(bench: Bench, resize: str | None) -> None:
    found = target(bench, resize)
    assert found == growth.Target(1, False, "/dev/vda1", "ext4", (), ())
    assert target(bench, resize, root_stack=(LVM,), root_number=5).stack == (LVM,)
    assert target(bench, resize, table=None, root_number=None).number is None


@pytest.mark.parametrize(
    ("resize", "device", "kind", "stack"),
    [
        ("1", "/dev/vda1", "ext4", ()),
        ("3", "/dev/vda3", "xfs", ()),
        ("4", LUKS.path, "ext4", (LUKS,)),
        ("5", "", "LVM2_member", (LVM._replace(name="", path=""),)),
        ("6", "", "", ()),
    ],
)
def test_what_was_asked_for(bench: Bench, resize: str, device: str, kind: str, stack: tuple[Layer, ...]) -> None:
    assert target(bench, resize) == growth.Target(int(resize), True, device, kind, (), stack)


def test_the_roots_own_volume_group(bench: Bench) -> None:
    found = target(bench, "5", root_number=5, root_device=LVM.path, root_stack=(LVM,))
    assert found == growth.Target(5, True, LVM.path, "ext4", (), (LVM,))


@pytest.mark.parametrize(
    ("resize", "words"),
    [("10", "no such"), ("x", "no such"), ("-1", "no such"), ("\u0663", "no such"), ("2", "EFI"), ("7", "extended"),
     ("8", "BIOS boot"), ("9", "EFI")],
)  # fmt: skip
def test_refused(bench: Bench, resize: str, words: str) -> None:
    with pytest.raises(TaskError, match=words) as error:
        target(bench, resize)
    assert error.value.code == "E-OPTION"
    assert error.value.remedy


def test_a_disk_without_a_table(bench: Bench) -> None:
    with pytest.raises(TaskError, match="no such partition"):
        target(bench, "1", table=None)


@pytest.mark.parametrize("task", [grow_partition, grow_volumes, grow_filesystem])
def test_nothing_grows(bench: Bench, task: Any) -> None:
    system = DEVICES._replace(table=Table(), root_stack=(LVM,))  # type: ignore[arg-type]
    with pytest.raises(Skip, match="resize=no"):
        task.run(bench.context(task.TASK, {"partition": "no"}, devices=system))
    assert not bench.programs.calls


def test_no_volumes(bench: Bench) -> None:
    with pytest.raises(Skip):
        grow_volumes.run(bench.context(grow_volumes.TASK, devices=DEVICES))


def test_volumes_from_the_lowest_up(bench: Bench) -> None:
    """LVM on LUKS: what it was asked of is what the tools get, and only what is free is taken"""
    from helper_agent.disk.volumes import Volumes

    volumes = Volumes(bench.programs, bench.log)
    volumes.physical = [LUKS.path]
    layer = LVM._replace(below=(LUKS.path,))
    bench.programs.answer("cryptsetup")
    pv = {"pv_name": LUKS.path, "pv_pe_count": "100", "pv_pe_alloc_count": "60"}

    bench.programs.answer("lvm", json.dumps({"report": [{"pv": [pv]}]}))
    system = DEVICES._replace(root_stack=(LUKS, layer), volumes=volumes)
    grow_volumes.run(bench.context(grow_volumes.TASK, devices=system))
    assert [(argv[0], argv[1]) for argv in bench.programs.calls] == [
        ("cryptsetup", "resize"), ("lvm", "pvresize"), ("lvm", "pvs"), ("lvm", "lvextend"),
    ]  # fmt: skip
    assert bench.programs.calls[-1][-4:] == ("--extents", "+100%FREE", "vg/root", LUKS.path)
    assert all("--devices" in argv for argv in bench.programs.calls[1:])


def test_what_cannot_grow_with_its_partition_is_said(bench: Bench) -> None:
    system = DEVICES._replace(table=Table(), filesystems=(FILESYSTEMS[1]._replace(type="ntfs"),))  # type: ignore[arg-type]
    with pytest.raises(Skip):
        grow_filesystem.run(bench.context(grow_filesystem.TASK, {"partition": "3"}, devices=system))
    assert "Partition 3 holds ntfs, which is not grown with it" in bench.log.of("warning")


def test_unlock(bench: Bench) -> None:
    from helper_agent.disk.volumes import Volumes

    volumes = Volumes(bench.programs, bench.log)
    with pytest.raises(Skip, match="nothing on the disks is encrypted"):
        unlock.run(bench.context(unlock.TASK, {"key": "x"}, devices=DEVICES._replace(volumes=volumes)))
    volumes.unlocked.append("/dev/vda4")
    unlock.run(bench.context(unlock.TASK, {"key": "x"}, devices=DEVICES._replace(volumes=volumes)))
    assert bench.log.of("info") == ["The passphrase opened /dev/vda4"]
