"""What the machine's tests share: a run's files and descriptors"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host.vm.drive import OpenFile
from helper_host.vm.machine import MachineSpec


@pytest.fixture
def spec(tmp_path: Path) -> Iterator[MachineSpec]:
    """A run without a jail, whose program is still to be chosen"""
    job = os.memfd_create("job")
    os.pwrite(job, b'..."nonce": "abcd"...', 0)
    reader = os.open(f"/proc/self/fd/{job}", os.O_RDONLY)
    (tmp_path / "root").write_bytes(b"\0" * 4096)
    disk = os.open(tmp_path / "disk", os.O_RDWR | os.O_CREAT)
    os.ftruncate(disk, 1 << 20)
    yield MachineSpec(
        kernel="/nonexistent",
        initrd="/nonexistent",
        root=str(tmp_path / "root"),
        job=reader,
        disks=(OpenFile(disk),),
        nonce="abcd",
        accel="tcg",
        hello_seconds=10,
        silence_seconds=10,
        total_seconds=20,
        confine=False,
    )
    os.close(job)
    os.close(reader)
    os.close(disk)
