"""Tasks that don't come with the helper: loaded when their turn comes, checked against what they declared"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helper_agent import declaration, outside, programs, registry, taskfile
from helper_agent.api import Context, Skip, Task, TaskError
from helper_agent.failures import failure
from helper_agent.job import TaskFile
from helper_agent.registry import RegistryError
from tests.helper.support import Bench

NAME = "org.example.motd"
SOURCE = f"/etc/tasks.d/{NAME}.py"
MOTD = '''"""Say what this machine is

By hand.
"""
from __future__ import annotations
from helper_agent.api import Context, Option, Task

TASK = Task(
    name="org.example.motd",
    phase="filesystems",
    after=("hostname",),
    options=(Option("words", "list", "what to say", default=["hello"]),),
    timeout=60,
    api=1,
)


def run(context: Context) -> None:
    context.root.write("/motd", " ".join(context.options.items("words")), uid=None)
'''


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    """Modules of tasks are forgotten"""
    yield
    for name in [name for name in sys.modules if name.startswith("helper_task")]:
        del sys.modules[name]


def shipped(text: str, source: str = SOURCE, **changes: Any) -> tuple[TaskFile, dict[str, bytes]]:
    """A task's file as the node sends it; `changes` to its declaration"""
    read = taskfile.read(source, text.encode())
    row = {**declaration.plain(read.task), **changes}
    return TaskFile("TASK0000.BIN", source, read.kind, read.heading, row), {"TASK0000.BIN": text.encode()}


def entry(text: str, source: str = SOURCE, **changes: Any) -> registry.Entry:
    row, payloads = shipped(text, source, **changes)
    return outside.from_job([row], payloads)[0]


def run(bench: Bench, text: str) -> None:
    item = entry(text)
    item.run(bench.context(item.task))


def body(text: str) -> str:
    """The task with another function"""
    return MOTD[: MOTD.index("def run")] + text


# --- from the job ---


def test_a_task_of_the_job_runs(bench: Bench) -> None:
    item = entry(MOTD)
    assert (item.task.name, item.heading, item.source, item.kind) == (
        NAME,
        "Say what this machine is",
        SOURCE,
        "python",
    )
    item.run(bench.context(item.task, {"words": ["good", "day"]}))
    assert bench.tree.text("/motd") == "good day"


def test_nothing_of_a_file_is_executed_before_its_turn(bench: Bench) -> None:
    item = entry(MOTD + "\nraise ValueError('too early')\n")
    with pytest.raises(TaskError, match="too early"):
        item.run(bench.context(item.task))


def test_a_file_that_is_not_on_the_drive_is_named() -> None:
    row, _ = shipped(MOTD)
    with pytest.raises(RegistryError, match=f"{SOURCE}.*TASK0000"):
        outside.from_job([row], {})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"phase": "later"}, "phase 'later'"),
        ({"name": "motd"}, "org.example.motd"),
        ({"api": 0}, "doesn't name the version"),
        ({"colour": "red"}, "another form"),
        ({"api": declaration.API_VERSION + 1}, "install a newer helper"),
        ({"api": declaration.API_VERSION + 1, "colour": "red"}, "install a newer helper"),
    ],
)
def test_a_declaration_that_can_not_be_names_its_file(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RegistryError, match=SOURCE) as caught:
        entry(MOTD, **changes)
    assert words in str(caught.value)


def test_a_task_for_an_older_api_runs_on_a_newer_agent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declaration, "API_VERSION", 2)
    run(bench, MOTD)
    assert bench.tree.text("/motd") == "hello"


# --- errors of its author ---


def test_an_import_error_names_file_and_line(bench: Bench) -> None:
    text = MOTD.replace("from __future__ import annotations", "import nowhere_to_be_found")
    with pytest.raises(TaskError) as caught:
        run(bench, text)
    assert f"{SOURCE}, line 5: ModuleNotFoundError" in caught.value.cause
    assert "nowhere_to_be_found" in caught.value.cause
    assert "helper_agent.api" in caught.value.remedy


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("TASK = TASK._replace(timeout=6000)", ["timeout = 60", "6000"]),
        ("TASK = TASK._replace(name='org.example.other')", [f"'{NAME}'", "'org.example.other'"]),
        ("TASK = TASK._replace(privileges=('tree-path',))", ["privileges = []", "tree-path"]),
        ("TASK = TASK._replace(options=())", ["options", "words"]),
        ("TASK = TASK._replace(phase=object())", ["phase"]),
        ("TASK = 'none'", ["'none'"]),
        ("del TASK", ["None"]),
    ],
)
def test_a_task_that_is_another_at_run_time_is_refused(bench: Bench, line: str, words: list[str]) -> None:
    with pytest.raises(TaskError) as caught:
        run(bench, f"{MOTD}\n{line}\n")
    for word in (SOURCE, *words):
        assert word in caught.value.cause


def test_lists_and_tuples_are_alike_in_a_declaration(bench: Bench) -> None:
    run(bench, MOTD.replace('("hostname",)', '["hostname"]').replace('default=["hello"]', 'default=("hi",)'))
    assert bench.tree.text("/motd") == "hi"


def test_an_error_says_the_way_through_the_file(bench: Bench) -> None:
    text = body("def run(context):\n    look({})\n\n\ndef look(table):\n    return table['uid']\n")
    with pytest.raises(KeyError) as caught:
        run(bench, text)
    told = failure(NAME, caught.value)
    assert told.cause == "KeyError: 'uid'"
    assert told.output.splitlines()[-2:] == [f"{NAME}.py:19 in run", f"{NAME}.py:23 in look"]
    assert "table['uid']" in "".join(traceback.format_exception(caught.value))


def test_a_task_may_have_dataclasses(bench: Bench) -> None:
    """They look for the module of the class by its name"""
    text = body(
        "import dataclasses\n\n@dataclasses.dataclass\nclass Pair:\n    left: int = 1\n\n\n"
        "def run(context):\n    context.log.info(str(Pair()))\n"
    )
    run(bench, text)
    assert bench.log.of("info") == ["Pair(left=1)"]


def test_skip_goes_through(bench: Bench) -> None:
    text = body("from helper_agent.api import Skip\n\ndef run(context):\n    raise Skip('not here')\n")
    with pytest.raises(Skip, match="not here"):
        run(bench, text)


# --- from the helper image ---


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tasks as the helper image's build leaves them"""
    read = taskfile.read(f"{NAME}.py", MOTD.encode())
    (tmp_path / f"{NAME}.py").write_text(MOTD)
    rows = [
        {
            "task": declaration.plain(read.task),
            "heading": read.heading,
            "manual": read.manual,
            "source": f"{NAME}.py",
            "kind": "python",
            "file": f"{NAME}.py",
        }
    ]
    (tmp_path / "index.json").write_text(json.dumps(rows))
    return tmp_path


def test_a_task_of_the_helper_image_runs(folder: Path, bench: Bench) -> None:
    (item,) = outside.from_image(str(folder))
    assert item.source == f"{NAME}.py"
    item.run(bench.context(item.task))
    assert bench.tree.text("/motd") == "hello"


def test_a_helper_image_without_tasks_of_others(tmp_path: Path) -> None:
    assert outside.from_image(str(tmp_path)) == ()
    assert outside.from_image(str(tmp_path / "nowhere")) == ()


def test_tasks_of_everywhere_are_ordered_together(folder: Path) -> None:
    built_in = registry.load()
    names = [item.task.name for item in registry.ordered((*built_in, *outside.from_image(str(folder))))]
    assert names.index(NAME) > names.index("hostname")
    with pytest.raises(RegistryError, match=f"(?s){NAME}.py.*{NAME}.py"):
        registry.ordered((*built_in, *outside.from_image(str(folder)), entry(MOTD)))


# --- programs ---

SCRIPT = """#!/bin/sh
# /// task
# api = 1
# heading = "Do it"
# phase = "devices"
# ///
echo done
"""


@pytest.mark.parametrize("from_image", [True, False])
def test_a_program_is_executed_from_a_file(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch, from_image: bool
) -> None:
    ran: list[tuple[bytes, int, str]] = []

    def record(path: str, task: Task, context: Context) -> None:
        ran.append((Path(path).read_bytes(), Path(path).stat().st_mode & 0o777, task.name))

    monkeypatch.setattr(programs, "run_task", record)
    monkeypatch.setattr(outside, "WORK", str(tmp_path / "work"))
    source = "org.example.do.sh"
    if from_image:
        read = taskfile.read(source, SCRIPT.encode())
        row = {"task": declaration.plain(read.task), "heading": "", "source": source, "kind": "program", "file": source}
        (tmp_path / "index.json").write_text(json.dumps([row]))
        (tmp_path / source).write_text(SCRIPT)
        (tmp_path / source).chmod(0o700)
        (item,) = outside.from_image(str(tmp_path))
    else:
        item = entry(SCRIPT, source)
    assert item.kind == "program"
    item.run(bench.context(item.task, mounted=False))
    assert ran == [(SCRIPT.encode(), 0o700, "org.example.do")]
