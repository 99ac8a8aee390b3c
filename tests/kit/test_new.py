"""Skeletons: good from the first moment"""

from __future__ import annotations

from pathlib import Path

import pytest

from helper_kit import builtin, files, lint, new


@pytest.mark.parametrize("program", [False, True], ids=["python", "program"])
@pytest.mark.parametrize("phase", ["filesystems", "devices"])
@pytest.mark.programs
def test_a_skeleton_is_a_good_task(tmp_path: Path, program: bool, phase: str) -> None:
    written = new.write("org.example.my-motd", str(tmp_path / "tasks"), program=program, phase=phase)
    assert Path(written.task).name == f"org.example.my-motd{'.sh' if program else '.py'}"
    assert Path(written.test).name == "test_org_example_my_motd.py"
    item = files.load(written.task)
    assert (item.task.name, item.task.phase) == ("org.example.my-motd", phase)
    assert lint.check([written.task], builtin.tasks()) == []
    assert files.find([str(tmp_path / "tasks")]) == [written.task], "the test is no task"


@pytest.mark.parametrize("which", ["task", "test"])
def test_nothing_is_overwritten(tmp_path: Path, which: str) -> None:
    there = tmp_path / ("org.example.motd.py" if which == "task" else "test_org_example_motd.py")
    there.write_text("mine")
    with pytest.raises(files.KitError, match="is there already"):
        new.write("org.example.motd", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [there.name]
    assert there.read_text() == "mine"


@pytest.mark.parametrize("name", ["motd", "Org.Example.motd", "../etc/motd", "org..motd", ""])
def test_a_name_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(files.KitError, match="A task can't be named so"):
        new.write(name, str(tmp_path))
    assert not list(tmp_path.iterdir())
