"""A node in a folder: a `create` in a process of its own with a real disk, a real jail and a scripted QEMU"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests import calling
from tests.host.manifests import manifest
from tests.host.vm import fake_qemu

MIB = 1 << 20
DISK_SIZE = 16 * MIB
OLD = b"what the instance had before "
CANARY = "canary-7f3a-secret"
SCRIPTED = """
# the scripted QEMU is a Python program: it needs more of /usr than the real one
import functools
from helper_host import deployment
deployment.MachineSpec = functools.partial(deployment.MachineSpec, system=("/usr",))
"""


class Ended(NamedTuple):
    """How a create ended"""

    code: int
    log: str
    seconds: float

    @property
    def last(self) -> str:
        return self.log.rstrip().splitlines()[-1]


class Bench:
    """A node of its own in a folder: settings, run folder, helper image, an image and a disk with old content"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = folder / "images" / "system.raw"
        self.image.parent.mkdir(parents=True)
        content = b"head of the image" + bytes(MIB) + b"body " * 100_000
        self.image.write_bytes(content + bytes(8 * MIB - len(content)))
        self.disk = folder / "disk"
        self.disk.write_bytes((OLD * (DISK_SIZE // len(OLD) + 1))[:DISK_SIZE])
        self.helper = folder / "helper"
        self._make_helper_image()
        self.settings: dict[str, Any] = {"accel": "tcg", "hello_timeout_tcg": 20}
        self.parameters = {"image": str(self.image), "password": CANARY}
        self.prelude = SCRIPTED
        self.more_disks: list[calling.Disk] = []

    def _make_helper_image(self) -> None:
        self.helper.mkdir()
        files = {name: name.encode() * 5000 for name in ("vmlinuz", "initrd.img", "root.erofs")}
        for name, content in files.items():
            (self.helper / name).write_bytes(content)
        (self.helper / "manifest.json").write_text(json.dumps(manifest(files)))
        for part in [self.folder, *self.folder.parents]:
            if part == Path("/tmp"):
                break
            part.chmod(0o755)

    def start(
        self, scenario: list[Any], script: str = "create", *, output: int = subprocess.PIPE, **variables: str
    ) -> subprocess.Popen[bytes]:
        settings = {
            "qemu": fake_qemu.program(self.folder, scenario),
            "run_folder": str(self.folder / "run"),
            "helper_image": str(self.helper),
            "image_folders": [str(self.image.parent)],
            **self.settings,
        }
        disks = [calling.Disk(str(self.disk), self.disk.stat().st_size), *self.more_disks]
        facts = calling.environment(*disks, **self.parameters) | variables
        folder = str(self.folder / "settings")
        return calling.start(script, facts, folder, prelude=self.prelude, output=output, **settings)

    def finish(self, process: subprocess.Popen[bytes], since: float) -> Ended:
        output, _ = process.communicate(timeout=60)
        return Ended(process.returncode, output.decode(), time.monotonic() - since)

    def create(self, scenario: list[Any], **variables: str) -> Ended:
        since = time.monotonic()
        return self.finish(self.start(scenario, "create", output=subprocess.PIPE, **variables), since)

    def qemus(self) -> list[int]:
        """Process ids of the scripted QEMU"""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if str(self.folder / "fake-qemu").encode() in command:
                found.append(int(name))
        return found

    def head_is_empty(self) -> bool:
        return not any(self.disk.read_bytes()[:MIB])

    def is_old(self) -> bool:
        return self.disk.read_bytes() == (OLD * (DISK_SIZE // len(OLD) + 1))[:DISK_SIZE]

    def is_deployed(self) -> bool:
        image = self.image.read_bytes()
        return self.disk.read_bytes() == image + bytes(DISK_SIZE - len(image))


B = TypeVar("B", bound=Bench)


@contextmanager
def checked(bench: B) -> Iterator[B]:
    """The bench, and afterwards nothing may be left of what ran on it"""
    yield bench
    assert bench.qemus() == [], "no QEMU may outlive its create"
    runs = bench.folder / "run"
    assert not runs.exists() or not [name for name in os.listdir(runs) if name.endswith(".run")]


def failed(ended: Ended, code: str, *, within: float = 15.0) -> None:
    """A failure as an administrator wants it"""
    assert ended.code == 1, ended.log
    assert ended.last.startswith(f"{code}: "), ended.log
    assert "; " in ended.last
    assert "Traceback" not in ended.log
    assert CANARY not in ended.log
    assert "$y$" not in ended.log
    assert "PRIVATE KEY" not in ended.log
    assert ended.seconds < within


def wait_for(what: Any, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.05)
    return False
