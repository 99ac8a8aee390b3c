"""The wheel, installed into an environment of its own, is all that an author needs

The environment borrows pytest, mypy and the dependencies from the one that the tests run in, nothing of the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kit import tasks

pytestmark = pytest.mark.programs

TOP = Path(__file__).resolve().parents[2]


class Kit(NamedTuple):
    """An author's environment, and the folder in which they work"""

    python: Path
    folder: Path

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A Python with `argv`"""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [self.python, *argv], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def task(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """`ganeti-instance-helper task ...`, by the script that the wheel has for it"""
        return self.run(str(self.python.parent / "ganeti-instance-helper"), "task", *argv)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel"""
    folder = tmp_path_factory.mktemp("kit")
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("host/helper_host", "helper/helper_agent", "helper/helper_kit"):
        shutil.copytree(TOP / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(TOP / name, source)
    (source / "README.md").touch()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv/bin/python"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / "venv/lib" / version / "site-packages"
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(python)]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    done = subprocess.run([*pip, "install", *offline, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture
def kit(environment: Path, tmp_path: Path) -> Kit:
    return Kit(environment, tmp_path)


def test_it_is_the_installed_code_that_runs(kit: Kit) -> None:
    probe = (
        "import helper_agent, helper_host, helper_kit; print(helper_agent.__path__, helper_host.__path__, helper_kit)"
    )
    shown = kit.run("-c", probe).stdout
    assert shown.count(str(kit.python.parents[1])) == 3
    assert str(TOP) not in shown


@pytest.mark.parametrize("more", [(), ("--program",), ("--phase", "devices")], ids=lambda more: more[:1] or "plain")
def test_from_nothing_to_a_tested_task(kit: Kit, more: tuple[str, ...]) -> None:
    """`new`, `lint`, the test beside it with the plugin's fixtures, types"""
    new = kit.task("new", "org.example.motd", *more)
    assert new.returncode == 0, new.stderr
    (task,) = {path.name for path in kit.folder.iterdir()} - {"test_org_example_motd.py"}
    lint = kit.task("lint", task)
    assert (lint.returncode, lint.stdout) == (0, ""), lint.stderr
    tested = kit.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_org_example_motd.py")
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout
    files = [name for name in (task, "test_org_example_motd.py") if name.endswith(".py")]
    types = kit.run("-m", "mypy", "--strict", "--cache-dir", os.devnull, *files)
    assert types.returncode == 0, types.stdout


def test_types_reach_authors(kit: Kit) -> None:
    """With py.typed, mypy sees what the API has not"""
    good, bad = kit.folder / "good.py", kit.folder / "bad.py"
    good.write_text(tasks.GOOD)
    bad.write_text(tasks.GOOD.replace('context.log.info("written")', "context.root.wipe(5)\n    context.root.read(7)"))
    assert kit.run("-m", "mypy", "--strict", "--cache-dir", os.devnull, str(good)).returncode == 0
    refused = kit.run("-m", "mypy", "--strict", "--cache-dir", os.devnull, str(bad)).stdout
    assert '"Root" has no attribute "wipe"' in refused
    assert 'Argument 1 to "read" of "Root" has incompatible type "int"' in refused


def test_all_packages_are_typed(kit: Kit) -> None:
    for package in ("helper_agent", "helper_host", "helper_kit"):
        probe = f"import {package}, os; print(os.path.exists({package}.__path__[0] + '/py.typed'))"
        assert kit.run("-c", probe).stdout == "True\n"


def test_the_built_in_tasks_without_a_helper_image(kit: Kit) -> None:
    listed = kit.task("list")
    assert "hostname" in listed.stdout
    assert "There is no helper image" in listed.stderr
    shown = kit.task("show", "hostname")
    assert shown.stdout.startswith("hostname: Set the hostname\n"), shown.stderr
