"""docs/writing-a-task.md followed to the letter in a fresh copy, by the clock, with the real kit and the real helper"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.manual import HERE
from tests.manual.walk import Walk, steps

pytestmark = pytest.mark.vm

FIVE_MINUTES = 300


@pytest.fixture
def checkout(tmp_path: Path, helper_image: Path) -> Path:
    """What a clone would have, and what is built once: the helper image"""
    folder = tmp_path / "clone"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=HERE, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (HERE / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, folder / name)
    (folder / "build").mkdir()
    (folder / "build/helper-image").symlink_to(helper_image.parent)
    return folder


@pytest.mark.timed
def test_from_nothing_to_a_tested_task_in_five_minutes(checkout: Path, debian_image: Callable[[str], Path]) -> None:
    image = debian_image("debian-msdos.qcow2")
    before = os.stat(image).st_mtime_ns
    walk = Walk(checkout, {"IMAGE": str(image)}, leave=lambda line: False)
    for step in (each for each in steps() if each.remark != "vm"):
        walk.take(step)
    print(f"the page's commands took {walk.seconds:.0f} s")
    assert walk.seconds < FIVE_MINUTES, "the time to read is on top"
    assert "org.example.motd: done" in walk.output
    walk.output = ""
    for step in (each for each in steps() if each.remark == "vm"):
        walk.take(step)
    assert "/etc/motd names accounting" in walk.output
    assert os.stat(image).st_mtime_ns == before
