from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from helper_agent.api import Context, TaskError
from helper_agent.boot import regenerate
from helper_agent.run import CommandFailed, Completed
from helper_agent.tasks import grub_config
from helper_kit import traps
from tests.helper.boot import loaders
from tests.helper.boot.loaders import ROOT
from tests.helper.disk import tables
from tests.helper.support import Bench

GOOD = (loaders.HEADER + loaders.ENTRIES).replace("ROOT", ROOT).replace("quiet", "made")
UNKNOWN = "00000000-1111-4222-8333-444444444444"
Program = Callable[[Sequence[str], dict[str, Any]], Completed]


class Devices(NamedTuple):
    """What the task asks the system for"""

    disks: dict[int, str]


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """One filesystem with the UUID that the files name"""
    path = tmp_path / "vdb"
    head = bytearray(tables.ext4_head())
    head[1128:1144] = bytes.fromhex(ROOT.replace("-", ""))
    path.write_bytes(bytes(head).ljust(1 << 20, b"\0"))
    return path


def context(bench: Bench, disk: Path, program: Program, name: str = "debian") -> Context:
    distro = loaders.build(bench.tree, name)
    tool = "/usr/sbin/grub2-mkconfig" if name in ("rocky", "opensuse") else "/usr/sbin/grub-mkconfig"
    bench.tree.put(tool, "#!/bin/sh\n", mode=0o755)
    made = bench.context(grub_config.TASK, {"wanted": True}, distro=distro, devices=Devices({0: str(disk)}))
    made._in_image = lambda tree, argv, **arguments: program(argv, arguments)
    return made


def prints(text: str) -> Program:
    return lambda argv, arguments: Completed(0, text.encode("utf-8", "surrogateescape"), b"Found linux image\n")


def test_what_it_prints_takes_the_old_ones_place(bench: Bench, disk: Path) -> None:
    seen: dict[str, Any] = {}

    def program(argv: Sequence[str], arguments: dict[str, Any]) -> Completed:
        seen.update(arguments, argv=list(argv))
        return Completed(0, GOOD.encode(), b"")

    grub_config.run(context(bench, disk, program))
    assert bench.tree.text("/boot/grub/grub.cfg") == GOOD
    assert bench.tree.mode("/boot/grub/grub.cfg") == 0o444
    assert seen["argv"] == ["/usr/sbin/grub-mkconfig"]
    assert seen["devices"] == [str(disk)]
    assert seen["links"] == {f"/dev/disk/by-uuid/{ROOT}": str(disk)}
    assert seen["env"] == {"GRUB_DISABLE_OS_PROBER": "true"}


def test_the_files_that_it_has_made_before(bench: Bench, disk: Path) -> None:
    """Enterprise Linux 7 and 8 have it on the ESP, later ones a file there that leads to /boot"""
    made = context(bench, disk, prints(GOOD), "rocky")
    stub = bench.tree.text("/boot/efi/EFI/rocky/grub.cfg")
    grub_config.run(made)
    assert bench.tree.text("/boot/grub2/grub.cfg") == GOOD
    assert bench.tree.text("/boot/efi/EFI/rocky/grub.cfg") == stub
    bench.tree.put("/boot/efi/EFI/rocky/grub.cfg", loaders.EL_GRUB)
    (bench.tree / "/boot/grub2/grub.cfg").unlink()
    grub_config.run(made)
    assert bench.tree.text("/boot/efi/EFI/rocky/grub.cfg") == GOOD
    assert not (bench.tree / "/boot/grub2/grub.cfg").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no entry that boots a kernel"),
        ("echo nothing\n", "no entry that boots a kernel"),
        (GOOD.replace(f"root=UUID={ROOT}", "root={disk}"), "another device's name in the instance"),
        (GOOD.replace(f"root=UUID={ROOT}", f"root=UUID={UNKNOWN}"), f"the UUID {UNKNOWN}, which no filesystem"),
        (GOOD.replace(f"--set=root {ROOT}", f"--set=root {UNKNOWN}"), f"the UUID {UNKNOWN}, which no filesystem"),
        (GOOD + "#" * (1 << 20), "more than 1 MiB"),
    ],
)
def test_what_can_not_be_right_changes_nothing(bench: Bench, disk: Path, text: str, words: str) -> None:
    made = context(bench, disk, prints(text.replace("{disk}", str(disk))))
    before = bench.tree.files()
    with pytest.raises(TaskError, match=words) as caught:
        grub_config.run(made)
    assert "regenerate_grub" in caught.value.remedy
    assert bench.tree.files() == before


def test_a_partitions_name(disk: Path) -> None:
    text = GOOD.replace(f"root=UUID={ROOT}", "root=/dev/vdb1")
    assert regenerate.objection(text, ["/dev/vdb", "/dev/vdb1"], {ROOT})
    assert not regenerate.objection(text.replace("/dev/vdb1", "/dev/vda1"), ["/dev/vdb", "/dev/vdb1"], {ROOT})


def test_it_fails(bench: Bench, disk: Path) -> None:
    def program(argv: Sequence[str], arguments: dict[str, Any]) -> Completed:
        raise CommandFailed(argv, "exit code 1", "grub-probe: error", 1)

    made = context(bench, disk, program)
    before = bench.tree.files()
    with pytest.raises(TaskError, match="grub-mkconfig failed") as caught:
        grub_config.run(made)
    assert caught.value.output == "grub-probe: error"
    assert bench.tree.files() == before


def test_no_program(bench: Bench, disk: Path) -> None:
    made = context(bench, disk, prints(GOOD))
    (bench.tree / "/usr/sbin/grub-mkconfig").unlink()
    with pytest.raises(TaskError, match="has no grub-mkconfig"):
        grub_config.run(made)


@pytest.mark.parametrize("path", ["/boot/grub/grub.cfg", "/usr/sbin/grub-mkconfig"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, disk: Path, trap: traps.Trap, path: str) -> None:
    made = context(bench, disk, prints(GOOD))
    traps.spring(trap, bench.tree, path, lambda: grub_config.run(made))


@pytest.mark.parametrize("folder", ["/boot", "/boot/grub"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, disk: Path, trap: traps.Trap, folder: str) -> None:
    made = context(bench, disk, prints(GOOD))
    traps.spring(trap, bench.tree, folder, lambda: grub_config.run(made))
