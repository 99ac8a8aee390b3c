"""`make helper-image TASKS=folder`: a task that can't be used ends the build before it begins, its file named"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.programs

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """#!/bin/bash
# /// task
# api = 1
# heading = "Say hello"
{more}
# ///
"""
PYTHON = '''"""Say hello"""
from helper_agent.api import Context, Task

TASK = Task(name="{name}", phase="filesystems", api=1)


def run(context: Context) -> None:
    """See `Task`"""
'''

Build = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    return folder


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Read the tasks in folders, as the image's build begins"""

    def run(*folders: Path) -> subprocess.CompletedProcess[str]:
        script = (
            "import sys, pathlib, task_files\n"
            "tasks = task_files.read([pathlib.Path(name) for name in sys.argv[1:]])\n"
            "print(*[row['task']['name'] for row in tasks.rows])\n"
            "print(*[row['file'] for row in tasks.index])\n"
        )
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'helper-image'}:{ROOT / 'helper'}"}
        command = [sys.executable, "-c", script, *map(str, folders)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    return run


def program(folder: Path, name: str, more: str = "#") -> Path:
    file = folder / f"{name}.sh"
    file.write_text(PROGRAM.format(more=more))
    return file


def test_the_built_in_tasks_and_those_of_two_folders_in_one_order(folder: Path, tmp_path: Path, build: Build) -> None:
    other = tmp_path / "more"
    other.mkdir()
    program(folder, "org.example.motd", '# before = ["org.example.a"]')
    (folder / "README").write_text("about them")
    (folder / "test_org_example_motd.py").write_text("raise SystemExit(1)")
    (folder / "org.example.motd.sh~").write_text("an editor's")
    (folder / "__pycache__").mkdir()
    (other / "org.example.a.py").write_text(PYTHON.format(name="org.example.a"))
    (other / "org.example.elf").write_bytes(b"\x7fELF and so on")
    (other / "org.example.elf.toml").write_text('api = 1\nheading = "Run"\n')
    done = build(folder, other)
    assert done.returncode == 0, done.stderr
    order, files = (line.split() for line in done.stdout.splitlines())
    assert order.index("hostname") < order.index("org.example.motd") < order.index("org.example.a")
    assert sorted(files) == ["org.example.a.py", "org.example.elf", "org.example.motd.sh"]


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("org.example.motd", "# api = 9", "org.example.motd.sh"),
        ("org.example.motd", '# after = ["hostnam"]', "org.example.motd.sh is to run after hostnam, which is no task"),
        ("org.example.motd", '# name = "org.example.other"', "org.example.motd.sh declares the task org.example.other"),
        ("motd", "#", "motd.sh declares the name 'motd'; put a domain of yours in front"),
        ("org.example.motd", '# colour = "red"', "org.example.motd.sh declares colour"),
    ],
)
def test_a_bad_declaration_names_its_file(folder: Path, build: Build, name: str, more: str, said: str) -> None:
    program(folder, name, more)
    done = build(folder)
    assert done.returncode == 1
    assert done.stderr.startswith("E: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_two_of_one_name_are_both_named(folder: Path, tmp_path: Path, build: Build) -> None:
    other = tmp_path / "more"
    other.mkdir()
    first, second = program(folder, "org.example.motd"), program(other, "org.example.motd")
    done = build(folder, other)
    assert done.returncode == 1
    assert str(first) in done.stderr
    assert str(second) in done.stderr


def test_a_circle_names_its_files(folder: Path, build: Build) -> None:
    program(folder, "org.example.a", '# after = ["org.example.b"]')
    program(folder, "org.example.b", '# after = ["org.example.a"]')
    done = build(folder)
    assert done.returncode == 1
    assert "org.example.a.sh" in done.stderr
    assert "org.example.b.sh" in done.stderr


def test_a_folder_that_is_none_or_empty(folder: Path, tmp_path: Path, build: Build) -> None:
    assert "has no task in it" in build(folder).stderr
    assert f"E: {tmp_path}/none, which TASKS names, is no folder" in build(tmp_path / "none").stderr


def test_the_build_reads_them_first(folder: Path, tmp_path: Path) -> None:
    """Before root, a lock or a download is needed"""
    program(folder, "motd")
    command = [sys.executable, str(ROOT / "helper-image/make_image.py"), "--output", str(tmp_path / "image")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "helper")}
    done = subprocess.run(
        [*command, "--tasks", str(folder)], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "motd.sh declares the name" in done.stderr
    assert not (tmp_path / "image").exists()


def test_make_hands_the_folders_on() -> None:
    command = ["make", "-n", "-C", str(ROOT), "helper-image", "TASKS=site/tasks more"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "--tasks site/tasks --tasks more" in done.stdout
