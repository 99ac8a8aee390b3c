"""`ganeti-instance-helper task run --disk`: an author's task in a real helper, on a copy of an image"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import calling
from tests.kit import tasks
from tests.vm import disks
from tests.vm.deploying import CANARY, looked_at

pytestmark = pytest.mark.vm


class Author:
    """Somebody with root on some machine, an image and a task"""

    def __init__(self, folder: Path, helper_image: Path) -> None:
        self.folder = folder
        self.image = disks.build(folder / "image.raw", "gpt", "ext4")
        self.settings = folder / "settings"
        self.settings.mkdir()
        lines = {"accel": "tcg", "helper_image": str(helper_image), "run_folder": str(folder / "run")}
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
        (self.settings / "config.toml").write_text(text)
        (self.settings / "tasks.d").mkdir(mode=0o755)

    def run(self, task: str, *more: str) -> subprocess.CompletedProcess[str]:
        """`task run TASK --disk IMAGE ...`"""
        arguments = ["task", "run", task, "--disk", str(self.image.path), *more]
        lines = [
            f"import sys; sys.path[:0] = {[os.path.join(calling.REPOSITORY, part) for part in ('host', 'helper')]!r}",
            f"from helper_host import paths; paths.SETTINGS = {str(self.settings)!r}",
            f"from helper_host.commands import tool; sys.exit(tool.run({arguments!r}))",
        ]
        argv = [sys.executable, "-I", "-c", "\n".join(lines)]
        environment = {"PATH": calling.PATH, "TMPDIR": str(self.folder)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=300)

    def digest(self) -> str:
        """Of the image"""
        return hashlib.sha256(self.image.path.read_bytes()).hexdigest()


@pytest.fixture
def author(tmp_path: Path, helper_image: Path) -> Author:
    return Author(tmp_path, helper_image)


def test_a_task_alone_and_among_all(author: Author, tmp_path: Path) -> None:
    before = author.digest()
    secret = tasks.variant(tmp_path, ('"example.org")', '"example.org", secret=True)'))

    alone = author.run(secret, "-o", f"owner={CANARY}", "--keep", str(tmp_path / "kept.raw"), "--name", "db1")
    assert alone.returncode == 0, alone.stderr
    assert "helper: org.example.motd: written" in alone.stderr
    assert alone.stdout == f"the disk is {tmp_path}/kept.raw\norg.example.motd: done\n"
    assert "timeline" in alone.stderr
    assert CANARY not in alone.stderr + alone.stdout
    with looked_at(tmp_path / "kept.raw", author.image.root.offset, author.image.root.size, "ext4", tmp_path) as root:
        assert (root / "etc/motd").read_text() == f"db1 of {CANARY}\n"
        assert (root / "etc/hostname").read_text() != "db1\n", "no other task ran"

    program = tasks.PROGRAM.replace('hello >"$HELPER_ROOT/etc/motd"', '"$INSTANCE_NAME" >"$HELPER_ROOT/etc/greeting"')
    tasks.put(author.settings / "tasks.d", "org.example.greeting.sh", program, mode=0o755)
    everything = author.run(secret, "--with-all", "--size", "100m", "--keep", str(tmp_path / "all.raw"))
    assert everything.returncode == 0, everything.stderr
    assert (tmp_path / "all.raw").stat().st_size == 100 << 20
    with looked_at(tmp_path / "all.raw", author.image.root.offset, 0, "ext4", tmp_path) as root:
        assert (root / "etc/motd").read_text() == "web1.example.org of example.org\n"
        assert (root / "etc/hostname").read_text() == "web1\n"
        assert (root / "etc/greeting").read_text() == "web1.example.org\n"

    other = tasks.variant(tmp_path, ("api=1,", 'api=1,\n    distros=("alpine",),'))
    assert author.run(other).stdout == "org.example.motd: skipped: for alpine only\n"

    failing = tasks.variant(tmp_path, ('context.log.info("written")', 'raise ValueError("it broke")'))
    failed = author.run(failing, "--keep", str(tmp_path / "failed.raw"))
    assert failed.returncode == 1
    said, last = failed.stderr.splitlines()[-2:]
    assert said.endswith(f"That disk was a copy, which is gone; {author.image.path} is as it was.")
    assert last.startswith("E-TASK: ") and "it broke" in last and "org.example.motd" in last
    assert not (tmp_path / "failed.raw").exists()

    optional = author.run(
        tasks.variant(
            tmp_path,
            ("api=1,", "api=1,\n    optional=True,"),
            ('context.log.info("written")', 'raise ValueError("it broke")'),
        )
    )
    assert optional.returncode == 1, "no installation would end, but the author wants to know"
    assert optional.stdout.startswith("org.example.motd: skipped: failed: ")

    waiting = tasks.variant(tmp_path, ('"hostname"', '"org.example.greeting"'))
    tasks.put(tmp_path, "org.example.greeting.sh", program, mode=0o755)
    (author.settings / "tasks.d/org.example.greeting.sh").unlink()
    assert author.run(waiting).stdout == "org.example.motd: done\n", "a task beside it is no unknown one"

    mistyped = author.run(tasks.variant(tmp_path, ('"hostname"', '"hostnam"')))
    last = mistyped.stderr.splitlines()[-1]
    assert last == f"E-TASKS: {waiting} is to run after hostnam, which is no task; is hostname meant?"

    assert author.run(tasks.good(tmp_path), "--size", "1m").stderr.splitlines()[-1].startswith("E-DISK-SMALL: ")

    assert author.digest() == before, "the image is as it was"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("helper-task-")]
