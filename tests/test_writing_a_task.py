"""docs/writing-a-task.md can be followed to the letter; tests/vm/test_writing_a_task.py does all of it"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.manual import HERE
from tests.manual.walk import Walk, steps


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A folder with the programs that `make kit` makes, here with the modules of the checkout"""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = "from helper_host.commands.tool import main; main()"
    for name, arguments in (
        ("ganeti-instance-helper", f'-c "{command}" "$@"'),
        ("pytest", '-m pytest -p helper_kit.pytest_plugin -p no:cacheprovider "$@"'),
        ("mypy", '-m mypy "$@"'),
    ):
        script = folder / name
        script.write_text(f"#!/bin/sh\nexec {sys.executable} {arguments}\n")
        script.chmod(0o755)
    return folder


@pytest.mark.programs
def test_from_nothing_to_a_tested_task(tmp_path: Path, kit: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    modules = f"{HERE / 'host'}:{HERE / 'helper'}"
    variables = {
        "PATH": f"{kit}:{os.environ['PATH']}",
        "PYTHONPATH": modules,
        "MYPYPATH": modules.replace("host:", ":"),
    }
    walk = Walk(here, variables, leave=lambda line: line == "make kit" or line.startswith(". "))
    for step in steps():
        if step.remark != "vm":
            walk.take(step)
    assert "org.example.motd: done" in walk.output
    assert "no errors, no warnings" in walk.output
    assert "a machine of accounting" in (here / "tree/etc/motd").read_text()


def test_there_is_a_block_for_each_stage() -> None:
    texts = [step.text for step in steps()]
    for word in ("make kit", "task new", "pytest", "task lint", "--root", "--disk"):
        assert any(word in text for text in texts), word
