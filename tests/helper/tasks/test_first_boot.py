from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.init import base as init
from helper_agent.tasks import first_boot
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import STORES, SYSTEMS, Make, System

SECRET = "canary-3c51"
SCRIPT = f"#!/bin/sh\necho {SECRET}\n"
GIVEN = {"script": SCRIPT}
UNIT = "/etc/systemd/system/instance-helper-first-boot.service"


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system(bench: Bench, system: System, name: str) -> None:
    context = system(name)
    for _ in range(2):
        first_boot.run(context(first_boot.TASK, GIVEN))
    assert bench.tree.text(first_boot.SCRIPT) == SCRIPT
    for path in (first_boot.FOLDER, first_boot.SCRIPT, first_boot.STARTER):
        assert (bench.tree.mode(path), bench.tree.owner(path)) == (0o700, (0, 0))
    root = bench.tree.root()
    assert init.of(root).is_enabled(root, first_boot.NAME)
    assert [path for path, text in bench.tree.files().items() if SECRET in str(text)] == [first_boot.SCRIPT]
    assert not any(SECRET in message for _, message in bench.log.lines)


@pytest.mark.programs
def test_systemd_takes_the_unit(bench: Bench, context: Make) -> None:
    first_boot.run(context(first_boot.TASK, GIVEN))
    argv = ["systemd-analyze", "verify", "--man=no", str(bench.tree / UNIT)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if first_boot.NAME in line]
    # the program is in the tree, not here
    assert all("is not executable" in line for line in complaints), done.stderr


class Machine:
    """What init does, with the starter's paths moved into a folder"""

    def __init__(self, folder: Path, script: str) -> None:
        self.folder = folder
        self.starter = folder / "first-boot"
        moved = first_boot.START.replace(first_boot.FOLDER, str(folder)).replace("/dev/console", f"{folder}/console")
        moved = moved.replace("/run/systemd/system", "/nonexistent")
        self.starter.write_text(moved)
        self.script = folder / "first-boot.script"
        self.script.write_text(script.replace("FOLDER", str(folder)))
        self.starter.chmod(0o700)
        self.script.chmod(0o700)

    def boot(self) -> int:
        return subprocess.run([str(self.starter)], check=False, timeout=20).returncode

    @property
    def console(self) -> str:
        return (self.folder / "console").read_text()

    def left(self) -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if name.startswith("first-boot"))


@pytest.mark.programs
def test_the_starter_runs_it_and_takes_all_away(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "#!/bin/sh\necho hello; pwd; cat; exit 3\n")
    assert machine.boot() == 0
    expected = ["first boot: running the script", "hello", "/", "first boot: the script ended with exit code 3"]
    assert machine.console.splitlines() == expected
    assert machine.left() == []


@pytest.mark.programs
def test_one_that_ends_the_machine_is_not_run_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "#!/bin/sh\necho began >> FOLDER/count\nkill -9 $PPID\n")
    assert machine.boot() == -9
    assert machine.left() == ["first-boot", "first-boot.script.running"]
    assert machine.boot() == 0
    assert (tmp_path / "count").read_text() == "began\n"
    assert "not run again" in machine.console
    assert machine.left() == []


@pytest.mark.programs
def test_one_whose_interpreter_is_not_there(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "#!/no/such/interpreter\n")
    assert machine.boot() == 0
    assert "ended with exit code 127" in machine.console
    assert machine.left() == []


def test_no_script(context: Make) -> None:
    with pytest.raises(TaskError) as caught:
        first_boot.run(context(first_boot.TASK, {"script": SECRET}))
    assert caught.value.code == "E-OPTION"
    assert SECRET not in f"{caught.value.cause} {caught.value.remedy}"


@pytest.mark.parametrize("path", [first_boot.SCRIPT, first_boot.STARTER, UNIT])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(first_boot.TASK, GIVEN)
    traps.spring(trap, bench.tree, path, lambda: first_boot.run(task))


@pytest.mark.parametrize("path", [first_boot.FOLDER, "/var/lib", "/var", "/etc/systemd/system", "/etc"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(first_boot.TASK, GIVEN)
    traps.spring(trap, bench.tree, path, lambda: first_boot.run(task))


@pytest.mark.parametrize("name", STORES)
def test_stores_say_where_to_do_it(system: System, name: str) -> None:
    context = system(name)
    with pytest.raises(TaskError, match="init is not known") as caught:
        first_boot.run(context(first_boot.TASK, GIVEN))
    assert "in the image itself" in caught.value.remedy
