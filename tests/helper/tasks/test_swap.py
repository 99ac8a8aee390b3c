from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from helper_agent.api import Context, TaskError
from helper_agent.declaration import has_what_it_needs
from helper_agent.disk import swapfile
from helper_agent.root import Root
from helper_agent.run import run
from helper_agent.tasks import swap
from helper_kit import traps
from tests.helper.distros import trees
from tests.helper.support import Bench

UUID = "0b8a4f5e-6c0f-4f6d-8f7e-0a1b2c3d4e5f"
ROOT_LINE = "UUID=3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e / ext4 errors=remount-ro 0 1\n"


class Devices(NamedTuple):
    """What the task asks the system for"""

    root_type: str = "ext4"


def context(bench: Bench, **options: object) -> Context:
    if not (bench.tree / "/etc/fstab").exists():
        trees.debian12(bench.tree)
    return bench.context(swap.TASK, options, devices=Devices(), distro=trees.distro(bench.tree))


def test_partition(bench: Bench) -> None:
    for _ in range(2):
        swap.run(context(bench, partition_uuid=UUID))
    assert bench.tree.text("/etc/fstab") == f"{ROOT_LINE}UUID={UUID} none swap sw 0 0\n"


def test_file(bench: Bench) -> None:
    swap.run(context(bench, file_mib=2))
    file = bench.tree / "/swapfile"
    assert bench.tree.text("/etc/fstab") == f"{ROOT_LINE}/swapfile none swap sw 0 0\n"
    assert bench.tree.mode("/swapfile") == 0o600
    content = file.read_bytes()
    assert len(content) == 2 << 20
    assert content[4086:4096] == b"SWAPSPACE2"
    assert int.from_bytes(content[1028:1032], "little") == len(content) // 4096 - 1
    assert file.stat().st_blocks * 512 >= 2 << 20, "a file with holes can't be swapped to"


def test_the_files_uuid_differs(bench: Bench) -> None:
    swap.run(context(bench, file_mib=1))
    first = (bench.tree / "/swapfile").read_bytes()
    swap.run(context(bench, file_mib=1))
    assert (bench.tree / "/swapfile").read_bytes() != first
    assert bench.tree.text("/etc/fstab").count("swap sw") == 1


def test_no_last_newline(bench: Bench) -> None:
    task = context(bench, partition_uuid=UUID)
    bench.tree.put("/etc/fstab", "# caf\xe9".encode("latin-1"))
    swap.run(task)
    assert (bench.tree / "/etc/fstab").read_bytes() == f"# caf\xe9\nUUID={UUID} none swap sw 0 0\n".encode("latin-1")


def test_no_room_leaves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    task = context(bench, file_mib=1)

    def full(fd: int, offset: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        swap.run(task)
    assert not (bench.tree / "/swapfile").exists()
    assert bench.tree.text("/etc/fstab") == ROOT_LINE


def test_disk(bench: Bench) -> None:
    for _ in range(2):
        swap.run(context(bench, disk_uuid=UUID))
    assert bench.tree.text("/etc/fstab") == f"{ROOT_LINE}UUID={UUID} none swap sw,nofail 0 0\n"


def test_nothing_given() -> None:
    assert not has_what_it_needs(swap.TASK, {})


@pytest.mark.parametrize("path", ["/etc/fstab", "/swapfile"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, trap: traps.Trap, path: str) -> None:
    task = context(bench, file_mib=1, partition_uuid=UUID)
    with traps.laid(trap, bench.tree, path, replaces=path == "/swapfile"), contextlib.suppress(TaskError):
        swap.run(task)


@pytest.mark.root
def test_btrfs_takes_the_file_as_swap(tmp_path: Path) -> None:
    """On a real btrfs: no copy on write, no hole; the kernel refuses anything else (btrfs(5), SWAPFILE SUPPORT)"""
    image = tmp_path / "btrfs"
    with image.open("wb") as file:
        file.truncate(200 << 20)
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    run(["mkfs.btrfs", "-q", str(image)])
    run(["mount", "-o", "loop", str(image), str(mounted)])
    try:
        root = Root(str(mounted))
        swapfile.make(root, "/swapfile", 16 << 20, nocow=True)
        assert "C" in run(["lsattr", str(mounted / "swapfile")]).text.split()[0]
        assert (mounted / "swapfile").stat().st_blocks * 512 >= 16 << 20
        with pytest.raises(OSError, match="No space"):
            swapfile.make(root, "/large", 1 << 30, nocow=True)
        root.close()
        assert os.listdir(mounted) == ["swapfile"]
    finally:
        run(["umount", str(mounted)])
