"""A read-only snapshot as the root, as transactional systems have it (MicroOS): it takes what tasks write, and is
read-only again
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_agent.root import Root
from tests.helper.loops import loops
from tests.helper.test_inspection import Instance
from tests.vm import disks

pytestmark = pytest.mark.root


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Instance]:
    """Needs root"""
    with loops(monkeypatch) as made:
        monkeypatch.setattr("helper_agent.looking.LOOK", str(tmp_path / "look"))
        yield Instance(made, tmp_path, monkeypatch)


@pytest.mark.parametrize("read_only", [True, False], ids=["read-only", "writable"])
def test_it_takes_changes_meanwhile(instance: Instance, read_only: bool) -> None:
    image = disks.build(instance.folder / "disk", "none", "btrfs")
    top = instance.folder / "top"
    top.mkdir()
    subprocess.run(["mount", "-o", "loop,subvolid=5", image.path, top], check=True)
    for words in (
        ("subvolume", "set-default", top / "@"),
        ("property", "set", "-ts", top / "@", "ro", str(read_only).lower()),
    ):
        subprocess.run(["btrfs", *words], check=True, capture_output=True)
    subprocess.run(["umount", top], check=True)
    disk = instance.add(image.path)
    system = instance.inspect()
    with instance.mount(system) as mounted:
        root = Root(mounted.path)
        root.write("/etc/hostname", "web1\n")
        root.close()
    subprocess.run(["mount", "-o", "subvolid=5,ro", disk, top], check=True)
    try:
        done = subprocess.run(
            ["btrfs", "property", "get", "-ts", top / "@"], check=True, capture_output=True, text=True
        )
        assert done.stdout == f"ro={str(read_only).lower()}\n"
        assert (top / "@/etc/hostname").read_text() == "web1\n"
    finally:
        subprocess.run(["umount", top], check=True)
