"""An instance's disks as loop devices: the whole disk, and each partition by its offset

The machine the tests run on needs no partition parsing: the table is read by the code under test, and what the kernel
would make of it is made here. Needs root.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helper_agent.disk import devices, partitions
from helper_agent.disk.partitions import Medium


class Loops:
    """Stands in for the kernel's partition devices"""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}
        self._parts: dict[tuple[str, int], str] = {}

    def attach(self, file: Path) -> str:
        """`file` as a disk"""
        disk = _losetup("--find", "--show", str(file))
        self._files[disk] = file
        self.reread(disk)
        return disk

    def reread(self, disk: str, _table: object = None) -> None:
        """The partitions as the table has them now; their device names stay"""
        try:
            with Medium(disk) as medium:
                table = partitions.read(medium)
        except Exception:  # the code under test will meet it too
            return
        for one in table.partitions if table else ():
            if one.role == "extended":
                continue
            limits = ["--offset", str(one.start * 512), "--sizelimit", str(one.size * 512)]
            if old := self._parts.get((disk, one.number)):
                _losetup("--detach", old)
                _losetup(*limits, old, str(self._files[disk]))
            else:
                self._parts[disk, one.number] = _losetup(*limits, "--find", "--show", str(self._files[disk]))

    def partition(self, disk: str, number: int) -> str:
        """In place of `devices.partition`"""
        return self._parts[disk, number] if number else disk

    def close(self) -> None:
        """Everything detached"""
        for device in (*self._parts.values(), *self._files):
            _losetup("--detach", device)


@contextmanager
def loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loops]:
    """Loop devices in place of the kernel's partitions while the body runs"""
    made = Loops()
    monkeypatch.setattr(devices, "partition", made.partition)
    monkeypatch.setattr(devices, "reread", made.reread)
    try:
        yield made
    finally:
        made.close()


def _losetup(*arguments: str) -> str:
    return subprocess.run(["losetup", *arguments], capture_output=True, text=True, check=True).stdout.strip()
