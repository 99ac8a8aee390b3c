"""task_options and task_secrets: what is typed, and what it means to the tasks there are"""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent.declaration import Option, Task
from helper_host.ganeti.parameters import parse_values
from helper_host.ganeti.task_options import Item, Options, parse, typed
from helper_host.ganeti.values import Invalid
from helper_host.tasks import Known, Tasks

MOTD = Task(
    "org.example.motd",
    "filesystems",
    options=(
        Option("owner", "str", "Domain that the machine belongs to"),
        Option("lines", "int", "most lines"),
        Option("colour", "bool", "with colours"),
        Option("servers", "list", "whom to ask"),
        Option("token", "str", "what to show them", secret=True),
    ),
)
TASKS = Tasks(tuple(Known(task, "x", "", "", "python") for task in (MOTD, Task("hostname", "filesystems"))))


def options(text: str, *, secrets: bool = False) -> Options:
    return typed(parse(text), TASKS, secrets=secrets)


def refusal(text: str, *, secrets: bool = False) -> str:
    with pytest.raises(Invalid) as caught:
        options(text, secrets=secrets)
    return f"{caught.value.why}; {caught.value.remedy}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org.example.motd.owner=example.org", {"owner": "example.org"}),
        ("org.example.motd.owner='example org'\n org.example.motd.lines=-5", {"owner": "example org", "lines": -5}),
        ('org.example.motd.owner="a=b.c=d"', {"owner": "a=b.c=d"}),
        ("org.example.motd.owner=a,b", {"owner": "a,b"}),
        ("org.example.motd.owner=", {"owner": ""}),
        ("org.example.motd.owner='two\nlines'", {"owner": "two\nlines"}),
        ("org.example.motd.colour=Yes", {"colour": True}),
        ("org.example.motd.colour=off", {"colour": False}),
        ("org.example.motd.servers=a,b org.example.motd.servers='c d, e'", {"servers": ["a", "b", "c d", "e"]}),
        ("org.example.motd.servers=", {"servers": []}),
        # what is left of Ganeti's way to escape a comma
        ("org.example.motd.servers=a\\,b", {"servers": ["a", "b"]}),
    ],
)
def test_values_by_the_declaration(text: str, expected: dict[str, Any]) -> None:
    assert options(text) == {"org.example.motd": expected}


def test_nothing_is_nothing() -> None:
    assert parse("") == ()
    assert parse_values({"task_options": " "}).task_options == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("org.example.mot.owner=x", "a task that is not there ('org.example.mot'); did you mean org.example.motd?"),
        ("nonsense.owner=x", "the tasks are org.example.motd, hostname"),
        ("org.example.motd.ownr=x", "doesn't have ('ownr'); it has: owner, lines"),
        ("hostname.x=1", "it has: none"),
        (
            "org.example.motd.lines=many",
            "sets org.example.motd.lines to 'many', which is not a whole number; it is for: most lines",
        ),
        ("org.example.motd.lines=1.5", "a whole number"),
        ("org.example.motd.lines=٣", "a whole number"),
        ("org.example.motd.colour=maybe", "to 'maybe', which is not true or false; give yes or no"),
        ("org.example.motd.owner=a org.example.motd.owner=b", "has org.example.motd.owner twice"),
    ],
)
def test_refusals_name_task_and_option(text: str, words: str) -> None:
    assert words in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        "owner=canary",
        "org.example.motd.owner=x canary=1",
        "org.example.motd.owner='canary",
        "org.example.motd.owner=canary\\",
        "org.Example.motd.canary=1",
    ],
)
def test_what_is_not_understood_is_not_quoted(text: str) -> None:
    for name in ("task_options", "task_secrets"):
        with pytest.raises(Exception, match="E-PARAMETER") as caught:
            parse_values({name: text})
        assert "canary" not in str(caught.value)
        assert "TASK.OPTION=value" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["canary.x=1", "org.example.motd.canary=1", "org.example.motd.lines=canary", "org.example.motd.colour=canary"],
)
def test_no_part_of_a_secret_is_quoted(text: str) -> None:
    message = refusal(text, secrets=True)
    assert "canary" not in message


def test_a_secret_option_is_not_quoted_in_task_options_either() -> None:
    secret = Task("a.b", "filesystems", options=(Option("pin", "int", "digits", secret=True),))
    with pytest.raises(Invalid) as caught:
        typed(parse("a.b.pin=canary"), Tasks((Known(secret, "x", "", "", "python"),)))
    assert "canary" not in f"{caught.value.why} {caught.value.remedy}"


def test_secrets_are_not_in_the_representation() -> None:
    text = "org.example.motd.token=canary"
    assert "canary" not in repr(parse(text))
    assert "canary" not in repr(parse_values({"task_secrets": text, "task_options": text}))


NAMES = st.from_regex(r"[a-z][a-z0-9.-]{0,20}[a-z]\.[a-z_]{1,10}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=5))
def test_what_a_shell_would_quote_comes_back(items: list[tuple[str, str]]) -> None:
    line = " ".join(f"{name}={shlex.quote(text)}" for name, text in items)
    assert [(f"{item.task}.{item.option}", item.text) for item in parse(line)] == items
    assert [item.number for item in parse(line)] == [*range(1, len(items) + 1)]


@given(st.text(alphabet="ab.=_-'\"\\ ,\n\t", max_size=40))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        items = parse(text)
    except Invalid as refused:
        assert refused.why
        return
    assert all(isinstance(item, Item) and item.task and item.option for item in items)


@given(st.sampled_from([option.name for option in MOTD.options]), TEXTS)
def test_a_typed_value_is_what_its_task_declares(name: str, text: str) -> None:
    from helper_agent.declaration import check_options

    try:
        made = typed([Item(1, MOTD.name, name, text)], TASKS)
    except Invalid:
        return
    check_options(MOTD, made[MOTD.name])
