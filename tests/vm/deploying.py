"""A whole `create` with the real helper VM, and a look at the disk it leaves"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests import calling
from tests.calling import Disk

MIB = 1 << 20
CANARY = "canary-51c2-secret"


class Deployed(NamedTuple):
    """How a script ended"""

    code: int
    log: str
    seconds: float

    @property
    def last(self) -> str:
        """The log's last line, which is what an administrator reads first"""
        return self.log.rstrip().splitlines()[-1]

    def failed(self, code: str) -> None:
        """It failed as it should: one last line with the code and a remedy, no traceback, no secret"""
        assert self.code == 1, self.log
        assert self.last.startswith(f"{code}: "), self.log
        assert "; " in self.last
        self.clean()

    def succeeded(self) -> None:
        """It went well"""
        assert self.code == 0, self.log
        self.clean()

    def clean(self) -> None:
        """Nothing that doesn't belong into a log"""
        assert "Traceback" not in self.log
        assert CANARY not in self.log
        assert "PRIVATE KEY" not in self.log


class Node:
    """Runs our scripts with settings of their own in a folder, on the real helper image"""

    def __init__(self, folder: Path, helper_image: Path) -> None:
        self.folder = folder
        self.run_folder = folder / "run"
        self.settings: dict[str, Any] = {
            "accel": "tcg",
            "helper_image": str(helper_image),
            "image_folders": [str(folder)],
            "run_folder": str(self.run_folder),
        }

    def disk(self, mib: int, name: str = "disk") -> Disk:
        """A fresh sparse file, as Ganeti makes it"""
        path = self.folder / name
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            file.truncate(mib * MIB)
        return Disk(str(path), mib * MIB)

    def start(self, script: str, *disks: Disk, **parameters: str) -> subprocess.Popen[bytes]:
        """Start our script for an instance with `disks`"""
        variables = calling.environment(*disks, **parameters)
        return calling.start(script, variables, str(self.folder / "settings"), **self.settings)

    def create(self, *disks: Disk, **parameters: str) -> Deployed:
        """Run create to its end"""
        return self.finish(self.start("create", *disks, **parameters))

    def finish(self, process: subprocess.Popen[bytes]) -> Deployed:
        """Wait for a script that was started"""
        since = time.monotonic()
        output, _ = process.communicate(timeout=400)
        return Deployed(process.returncode, output.decode("utf-8", "replace"), time.monotonic() - since)


@contextmanager
def looked_at(path: Path | str, offset: int, size: int, kind: str, folder: Path, options: str = "") -> Iterator[Path]:
    """The filesystem at `offset` of a disk's file, mounted read-only"""
    where = folder / "looked-at"
    where.mkdir(exist_ok=True)
    flags = f"ro,loop,offset={offset},sizelimit={size}" + (f",{options}" if options else "")
    subprocess.run(["mount", "-t", kind, "-o", flags, str(path), str(where)], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", str(where)], check=True)


@contextmanager
def loop_device(path: Path | str, offset: int = 0, size: int = 0) -> Iterator[str]:
    """A loop device of (a part of) a file"""
    limits = ["--offset", str(offset)] + (["--sizelimit", str(size)] if size else [])
    argv = ["losetup", "--find", "--show", *limits, str(path)]
    device = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
