"""What may stand in a declaration, and its form as data"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent import declaration
from helper_agent.declaration import DeclarationError, Option, OptionError, Task
from helper_agent.job import CONTENT_MAX

GOOD = Task(
    name="org.example.motd",
    phase="filesystems",
    after=("hostname",),
    before=("swap",),
    options=(Option("words", "list", "what to say", default=["hello"]), Option("key", "str", "a key", secret=True)),
    distros=("debian",),
    actions=("create", "rename"),
    optional=True,
    timeout=12.5,
    privileges=("tree-path",),
    api=1,
)
HUGE = 1 << 50_000
"""Too many digits for Python to spell."""


def test_a_good_one_is_fine() -> None:
    assert declaration.problem(GOOD, outside=True) == ""
    assert declaration.problem(Task("hostname", "devices")) == ""


def declaring(**changes: Any) -> Task:
    return GOOD._replace(**changes)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (declaring(name="motd"), "org.example.motd"),
        (declaring(name="Org.Example.Motd"), "lower-case"),
        (declaring(name="org.example.mötd"), "lower-case"),
        (declaring(name="org example"), "lower-case"),
        (declaring(name="org/../../x"), "lower-case"),
        (declaring(name="org..motd"), "empty part"),
        (declaring(name=".motd"), "empty part"),
        (declaring(name=f"org.{'x' * 100}"), "too long"),
        (declaring(name=""), "declares the name"),
        (declaring(name=3), "another type"),
        (declaring(name=["a"]), "another type"),
        (declaring(phase="boot"), "devices, filesystems"),
        (declaring(phase=None), "another type"),
        (declaring(after="hostname"), "no tuple of texts: ('hostname',) would be one"),
        (declaring(after=(1,)), "no tuple of texts"),
        (declaring(after={"a": 1}), "no tuple of texts"),
        (declaring(actions=("destroy", "create")), "destroy (there are: create, rename)"),
        (declaring(actions=([],)), "no tuple of texts"),
        (declaring(privileges=("root",)), "root (there are: tree-path, image-programs)"),
        (declaring(options=(1,)), "no tuple of Option"),
        (declaring(options=[Option("a", "str", "")]), "no tuple of Option"),
        (declaring(options=(Option("a", "str", ""),) * 2), "twice"),
        (declaring(options=(Option("a-b", "str", ""),)), "'a-b'"),
        (declaring(options=(Option("", "str", ""),)), "''"),
        (declaring(options=(Option(["a"], "str", ""),)), "['a']"),  # type: ignore[arg-type]
        (declaring(options=(Option("a", "float", ""),)), "'float'"),
        (declaring(options=(Option("a", ["str"], ""),)), "['str']"),  # type: ignore[arg-type]
        (declaring(options=(Option("a", "str", 1),)), "help"),  # type: ignore[arg-type]
        (declaring(options=(Option("a", "str", "", secret="yes"),)), "secret"),  # type: ignore[arg-type]
        (declaring(options=(Option("a", "int", "", "1"),)), "a whole number"),
        (declaring(options=(Option("a", "int", "", True),)), "a whole number"),
        (declaring(options=(Option("a", "int", "", 1 << 63),)), "more than 63 bits"),
        (declaring(options=(Option("a", "int", "", HUGE),)), "more than 63 bits"),
        (declaring(options=(Option("a", "list", "", "b"),)), "a list of texts"),
        (declaring(optional="yes"), "optional"),
        (declaring(timeout=0), "timeout of 0"),
        (declaring(timeout=-1), "timeout"),
        (declaring(timeout=100_000), "86400"),
        (declaring(timeout=float("nan")), "timeout"),
        (declaring(timeout=float("inf")), "timeout"),
        (declaring(timeout="60"), "timeout"),
        (declaring(timeout=True), "timeout"),
        (declaring(timeout=HUGE), "thousands of digits"),
        (declaring(api=0), "api=1"),
        (declaring(api=-1), "api=1"),
        (declaring(api=99), "version 99"),
        (declaring(api=HUGE), "thousands of digits"),
        (declaring(api="1"), "api"),
        (declaring(name=HUGE), "thousands of digits"),
    ],
)
def test_what_is_wrong_is_said(task: Task, words: str) -> None:
    assert words in declaration.problem(task, outside=True)


@pytest.mark.parametrize("name", declaration.OWN_STEPS)
def test_names_of_the_agents_own_steps_are_taken(name: str) -> None:
    assert "own" in declaration.problem(Task(name, "devices"))


def test_custom_is_a_name_for_one_off_tasks() -> None:
    assert declaration.problem(declaring(name=declaration.CUSTOM), outside=True) == ""


def test_a_task_for_an_older_version_of_the_api_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "install a newer helper" in declaration.problem(declaring(api=2), outside=True)
    monkeypatch.setattr(declaration, "API_VERSION", 2)
    for api in (1, 2):
        assert declaration.problem(declaring(api=api), outside=True) == ""
    assert "version 3" in declaration.problem(declaring(api=3), outside=True)


# --- as data ---


@pytest.mark.parametrize("task", [GOOD, Task("a", "devices")])
def test_a_declaration_travels_as_json(task: Task) -> None:
    back = declaration.from_plain(json.loads(json.dumps(declaration.plain(task))))
    assert back == task


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "red"}, "colour"),
        ({"options": [{"name": "a"}]}, "missing"),
        ({"options": [{"name": "a", "kind": "str", "help": "", "colour": "red"}]}, "colour"),
        ({"options": [3]}, "another form"),
        ({"options": 3}, "another form"),
        ({"api": 7, "colour": "red"}, "version 7"),
    ],
)
def test_data_of_another_form_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        declaration.from_plain({**declaration.plain(GOOD), **changes})
    assert words in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(Task._fields) | st.text(), JSON, max_size=6),
    st.lists(st.dictionaries(st.sampled_from(Option._fields), JSON), max_size=2),
    st.booleans(),
)
def test_any_data_is_a_task_a_problem_or_an_error(changes: dict[str, Any], options: list[Any], outside: bool) -> None:
    try:
        task = declaration.from_plain({**declaration.plain(GOOD), "options": options, **changes})
    except DeclarationError:
        return
    if not declaration.problem(task, outside=outside):
        assert declaration.from_plain(json.loads(json.dumps(declaration.plain(task)))) == task


# --- options ---


@pytest.mark.parametrize(
    "values", [{}, {"words": ["a", "b"]}, {"words": ("a",)}, {"words": [], "key": ""}, {"key": "k"}]
)
def test_values_that_fit(values: dict[str, Any]) -> None:
    declaration.check_options(GOOD, values)


@pytest.mark.parametrize("values", [{"words": "a"}, {"words": [1]}, {"words": None}, {"key": 3}, {"other": "x"}])
def test_values_that_do_not(values: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(values))) as caught:
        declaration.check_options(GOOD, values)
    assert GOOD.name in caught.value.cause
    assert caught.value.remedy


def test_a_secret_is_never_quoted() -> None:
    with pytest.raises(OptionError) as caught:
        declaration.check_options(GOOD, {"key": ["S3cret"]})
    assert "S3cret" not in f"{caught.value.cause} {caught.value.remedy}"


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_is_no_text(value: str) -> None:
    assert not declaration.fits("str", value)
    assert not declaration.fits("list", ["a", value])
    assert declaration.fits("str", "\U0001f600 é")


def test_what_a_task_needs_is_an_option_of_its_own() -> None:
    task = Task("org.example.x", "filesystems", options=(Option("name", "str", "a name"),), needs=("nome",))
    assert "needs that don't exist: nome (there are: name)" in declaration.problem(task)


@pytest.mark.parametrize(
    ("values", "default", "expected"),
    [({}, None, False), ({"name": ""}, None, False), ({"name": "x"}, None, True), ({}, "x", True)],
)
def test_has_what_it_needs(values: dict[str, str], default: str | None, expected: bool) -> None:
    task = Task("x", "filesystems", options=(Option("name", "str", "a name", default=default),), needs=("name",))
    assert declaration.has_what_it_needs(task, values) is expected


BYTES = Task("org.example.join", "devices", options=(Option("key", "bytes", "its key", secret=True),), api=1)


def test_bytes() -> None:
    assert declaration.problem(BYTES, outside=True) == ""
    assert declaration.decoded(BYTES, {"key": "AP8=\n", "other": "AP8="}) == {"key": b"\0\xff", "other": "AP8="}
    assert declaration.decoded(GOOD, {"key": "AP8="}) == {"key": "AP8="}
    declaration.check_options(BYTES, {"key": b"\0\xff"})
    assert declaration.from_plain(json.loads(json.dumps(declaration.plain(BYTES)))) == BYTES


def test_what_are_no_bytes() -> None:
    with pytest.raises(OptionError) as caught:
        declaration.decoded(BYTES, {"key": "canary!"})
    assert "canary" not in str(caught.value) + caught.value.remedy
    for value in ("text", 5, [b"a"], bytes(CONTENT_MAX + 1)):
        with pytest.raises(OptionError, match="takes bytes"):
            declaration.check_options(BYTES, {"key": value})
    with_default = BYTES._replace(options=(Option("key", "bytes", "its key", b"x"),))
    assert "can't have one" in declaration.problem(with_default)
