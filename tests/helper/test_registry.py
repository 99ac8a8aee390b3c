"""Task files, their order, and options against declarations"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from helper_agent import registry
from helper_agent.api import Option, Task, TaskError
from helper_agent.declaration import KINDS
from helper_agent.job import Job
from helper_agent.protocol import PROTOCOL_VERSION
from helper_agent.registry import Entry, RegistryError
from tests.helper.support import INSTANCE

OPTIONS = (
    Option("name", "str", "the name"),
    Option("size", "int", "the size"),
    Option("quick", "bool", "whether"),
    Option("users", "list", "the users"),
    Option("blob", "bytes", "a file"),
    Option("hash", "str", "the hash", secret=True),
    Option("keys", "list", "the keys", secret=True),
)
TASK = Task("sample", "filesystems", options=OPTIONS)


def entry(name: str, *after: str, phase: str = "filesystems", actions: tuple[str, ...] = ("create",)) -> Entry:
    return Entry(Task(name, phase, after, actions=actions), lambda context: None, name, f"{name}.py")


def job(**changes: Any) -> Job:
    return Job(PROTOCOL_VERSION, "n", "create", INSTANCE, "", "", (), {}, False, False)._replace(**changes)


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [item.task.name for item in entries]


# --- order ---


def test_entries_are_ordered() -> None:
    """How is `order`'s test"""
    assert names(registry.ordered([entry("b"), entry("a", "c"), entry("c")])) == ["b", "c", "a"]
    with pytest.raises(RegistryError, match=r"a\.py.*nowhere"):
        registry.ordered([entry("a", "nowhere")])


# --- files ---


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "sample_tasks"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("sample_tasks")]:
        del sys.modules[name]


GOOD = '''"""Do something

At length.
"""
from helper_agent.api import *
TASK = Task({}, "filesystems")
def run(context): ...
'''


def test_load_takes_every_file_of_the_package(package: Path) -> None:
    (package / "set_it.py").write_text(GOOD.format('"set-it"'))
    (package / "a_first.py").write_text(GOOD.format('"a-first"'))
    (package / "notes.txt").write_text("no task")
    found = registry.load("sample_tasks")
    assert names(found) == ["a-first", "set-it"]
    assert found[1].heading == "Do something"
    assert found[1].source == str(package / "set_it.py")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise ValueError('broken')", "broken"),
        ("syntax error", "SyntaxError"),
        ('"""Heading"""\n', "no TASK"),
        (GOOD.format('"bad"').replace("def run", "def walk"), "no TASK declaration or no function run"),
        (GOOD.format('"bad"').partition('"""\n')[2], "no docstring"),
        (GOOD.format('"other"'), "should be named other.py"),
        (GOOD.format('"bad"').replace('"filesystems"', '"later"'), "phase 'later'"),
        (GOOD.format('"bad"').replace('"filesystems"', '"devices", actions=("destroy",)'), "destroy"),
        (GOOD.format('"bad"').replace('"filesystems"', '"devices", options=(Option("a", "float", ""),)'), "'float'"),
        (GOOD.format('"bad"').replace('"filesystems"', '"devices", options=(Option("a", "int", "", "1"),)'), "default"),
        (GOOD.format('"bad"').replace('"filesystems"', '"devices", options=(Option("a", "int", ""),) * 2'), "twice"),
    ],
)
def test_a_file_that_is_no_task_is_named(package: Path, text: str, words: str) -> None:
    (package / "bad.py").write_text(text)
    with pytest.raises(RegistryError, match="bad") as caught:
        registry.load("sample_tasks")
    assert words in str(caught.value)


def test_names_of_the_agents_own_steps_are_taken(package: Path) -> None:
    (package / "mount.py").write_text(GOOD.format('"mount"'))
    with pytest.raises(RegistryError, match="own"):
        registry.load("sample_tasks")


def test_built_in_tasks_load() -> None:
    for item in registry.load():
        assert item.heading
        assert not item.heading.endswith("."), f"{item.source}: a heading has no full stop"
        for option in item.task.options:
            assert option.help, f"{item.source}: {option.name} has no help"


# --- options ---


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": "x", "size": 1, "quick": True, "users": ["a", "b"], "hash": "h", "keys": []},
        {"users": ("a",)},
    ],
)
def test_options_that_fit(values: dict[str, Any]) -> None:
    registry.check_options(TASK, values)


BAD: dict[str, list[Any]] = {
    "str": [1, None, ["x"], True],
    "int": ["1", True, 1.0, None],
    "bool": [1, "yes"],
    "list": ["a", [1], {}, None],
    "bytes": ["AP8=", 1, [b"a"], None],
}


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in KINDS for value in BAD[kind]])
def test_options_of_the_wrong_kind(kind: str, value: Any) -> None:
    option = next(option for option in OPTIONS if option.kind == kind)
    with pytest.raises(TaskError, match=f"option {option.name} of the task sample") as caught:
        registry.check_options(TASK, {option.name: value})
    assert caught.value.code == "E-OPTION"
    assert repr(value) in caught.value.cause


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(TaskError, match="no option 'nmae'") as caught:
        registry.check_options(TASK, {"nmae": "x"})
    assert caught.value.code == "E-OPTION"
    assert "name, size" in caught.value.remedy


@pytest.mark.parametrize(("name", "value"), [("hash", ["S3cret!canary"]), ("keys", ["ok", "S3cret!canary", 3])])
def test_a_secret_value_is_never_quoted(name: str, value: Any) -> None:
    with pytest.raises(TaskError) as caught:
        registry.check_options(TASK, {name: value})
    assert "S3cret" not in f"{caught.value.cause} {caught.value.remedy} {caught.value.output}"


# --- choice ---

KNOWN = (entry("a"), entry("b", actions=("create", "rename")), entry("c"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"only_tasks": ("c", "a")}, ["a", "c"]),
        ({"only_tasks": ("a",), "action": "rename"}, ["a"]),
        ({"only_tasks": ("a", "b"), "skip_tasks": ("a",)}, ["b"]),
    ],
)
def test_only_those_that_are_named(changes: dict[str, Any], expected: list[str]) -> None:
    assert names(registry.chosen(KNOWN, job(**changes))) == expected


def test_chosen_are_those_of_the_action_and_not_skipped() -> None:
    assert names(registry.chosen(KNOWN, job())) == ["a", "b", "c"]
    assert names(registry.chosen(KNOWN, job(action="rename"))) == ["b"]
    assert names(registry.chosen(KNOWN, job(skip_tasks=("a", "c")))) == ["b"]


@pytest.mark.parametrize(
    "changes", [{"skip_tasks": ("d",)}, {"only_tasks": ("d",)}, {"options": {"d": {}}}, {"options": {"a": {"x": 1}}}]
)
def test_what_is_unknown_in_a_job_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(TaskError) as caught:
        registry.chosen(KNOWN, job(**changes))
    assert caught.value.code == "E-OPTION"


def test_options_of_a_skipped_task_are_checked_too() -> None:
    with pytest.raises(TaskError):
        registry.chosen(KNOWN, job(skip_tasks=("a",), options={"a": {"x": 1}}))


@pytest.mark.parametrize(
    ("families", "distros", "fits"),
    [
        (("linux",), (), True),
        ((), (), True),
        (("windows",), (), False),
        (("linux",), ("debian",), True),
        (("linux",), ("ubuntu",), True),
        (("linux",), ("rhel", "fedora"), False),
    ],
)
def test_tasks_are_for_families_and_distros(families: tuple[str, ...], distros: tuple[str, ...], fits: bool) -> None:
    system = cast(Any, SimpleNamespace(family="linux", os_release={"ID": "ubuntu", "ID_LIKE": "debian"}))
    reason = registry.misfit(Task("x", "filesystems", families=families, distros=distros), system)
    assert (reason == "") is fits


def test_the_index_says_what_the_modules_say(tmp_path: Path) -> None:
    loaded = registry.load()
    registry.write_index(loaded, str(tmp_path / "index"))
    found = registry.built_in(str(tmp_path / "index"))
    assert [(row.task, row.heading, row.source, row.kind) for row in found] == [
        (row.task, row.heading, row.source, row.kind) for row in loaded
    ]


def test_a_task_of_the_index_is_imported_when_it_runs(package: Path, tmp_path: Path) -> None:
    source = '"""A sample"""\nfrom helper_agent.api import Task\nTASK = Task("one", "filesystems")\n'
    (package / "one.py").write_text(f"{source}def run(context):\n    context.append('ran')\n")
    registry.write_index(registry.load("sample_tasks"), str(tmp_path / "index"))
    del sys.modules["sample_tasks.one"]
    (found,) = registry.built_in(str(tmp_path / "index"))
    assert "sample_tasks.one" not in sys.modules
    calls: list[str] = []
    found.run(cast(Any, calls))
    assert calls == ["ran"]


def test_without_an_index_everything_is_loaded(tmp_path: Path) -> None:
    assert names(registry.built_in(str(tmp_path / "none"))) == names(registry.load())
