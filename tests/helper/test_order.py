"""In which order tasks run, why, and what is said where there is no order"""

from __future__ import annotations

import random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent import registry
from helper_agent.declaration import CUSTOM, Task
from helper_agent.order import OrderError, ordered, reasons


class Item(NamedTuple):
    """Anything that has a declaration and a file"""

    task: Task
    source: str


def item(
    name: str,
    after: tuple[str, ...] = (),
    before: tuple[str, ...] = (),
    phase: str = "filesystems",
    source: str = "",
) -> Item:
    return Item(Task(name, phase, after, before), source or f"{name}.py")


def names(items: list[Item]) -> list[str]:
    return [one.task.name for one in ordered(items)]


def test_devices_come_first_then_what_is_named_then_the_alphabet() -> None:
    items = [
        item("b"),
        item("a", after=("c",)),
        item("c"),
        item("z", phase="devices"),
        item("y", ("z",), (), "devices"),
    ]
    for _ in range(20):
        random.shuffle(items)
        assert names(items) == ["z", "y", "b", "c", "a"]


def test_before_is_after_seen_from_the_other_side() -> None:
    assert names([item("a"), item("b", before=("a",))]) == ["b", "a"]
    assert names([item("a"), item("b", after=("a",), before=("c",)), item("c")]) == ["a", "b", "c"]


def test_a_custom_task_comes_last_in_its_phase() -> None:
    assert names([item("zzz"), item(CUSTOM), item("aaa")]) == ["aaa", "zzz", CUSTOM]
    assert names([item("zzz"), item(CUSTOM, phase="devices")]) == [CUSTOM, "zzz"]
    assert names([item("zzz"), item(CUSTOM), item("aaa", after=(CUSTOM,))]) == ["zzz", CUSTOM, "aaa"]


def test_who_needs_room_and_who_labels_what_was_made_come_behind_all_that_write() -> None:
    found = [entry.task.name for entry in registry.load() if entry.task.phase == "filesystems"]
    assert (found[:2], found[-3:]) == (["cleanup", "overlay"], ["files", "swap", "selinux"])


def test_tasks_may_name_those_of_the_other_phase_where_the_order_is_so_anyway() -> None:
    assert names([item("a", after=("z",)), item("z", before=("a",), phase="devices")]) == ["z", "a"]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([item("a", ("nowhere",))], ["a.py", "after nowhere", "no task"]),
        ([item("a", (), ("nowhere",))], ["a.py", "before nowhere", "no task"]),
        ([item("hostname"), item("a", ("hostnmae",))], ["a.py", "is hostname meant?"]),
        ([item("a", ("b",)), item("b", ("c",)), item("c", ("a",)), item("d")], ["a.py", "b.py", "c.py", "circle"]),
        ([item("a", ("b",)), item("b", ("a",))], ["a (a.py) after b (b.py)", "b (b.py) after a (a.py)"]),
        ([item("a", ("b",), ("b",)), item("b")], ["a.py", "b.py", "circle"]),
        ([item("a", ("a",))], ["a.py", "circle"]),
        ([item("a", (), ("a",))], ["a.py", "circle"]),
        ([item("a"), item("a", source="/etc/tasks.d/a.py")], ["a.py", "/etc/tasks.d/a.py", "both", "task a"]),
        ([item("a", ("b",), (), "devices"), item("b")], ["a.py", "after b (b.py)", "later phase"]),
        ([item("a", (), ("b",)), item("b", (), (), "devices")], ["a.py", "before b (b.py)", "earlier phase"]),
    ],
)
def test_what_can_not_be_names_the_files(items: list[Item], words: list[str]) -> None:
    for _ in range(5):
        random.shuffle(items)
        with pytest.raises(OrderError) as caught:
            ordered(items)
        for word in words:
            assert word in str(caught.value)


def test_who_only_leads_to_a_circle_is_not_blamed() -> None:
    with pytest.raises(OrderError) as caught:
        ordered([item("aa", ("b",)), item("b", ("c",)), item("c", ("b",))])
    assert "aa.py" not in str(caught.value)


def test_reasons_say_who_wanted_it() -> None:
    items = [item("a", ("c",)), item("b", before=("a",)), item("c")]
    assert reasons(items) == {"a": ("after c", "after b, which is to run before it"), "b": (), "c": ()}


NAMES = [f"t{number}" for number in range(8)]


@st.composite
def some_items(draw: st.DrawFn) -> list[Item]:
    """Tasks that wait for some of those that come before them in a hidden order, so that there is one"""
    hidden = draw(st.permutations(NAMES))
    items = []
    for at, name in enumerate(hidden):
        after = draw(st.lists(st.sampled_from(hidden[:at]), unique=True)) if at else []
        before = draw(st.lists(st.sampled_from(hidden[at + 1 :]), unique=True)) if at + 1 < len(hidden) else []
        items.append(item(name, tuple(after), tuple(before)))
    return draw(st.permutations(items))


@given(some_items())
def test_everybody_waits_for_whom_they_named(items: list[Item]) -> None:
    order = names(items)
    assert sorted(order) == NAMES
    for one in items:
        assert all(order.index(other) < order.index(one.task.name) for other in one.task.after)
        assert all(order.index(other) > order.index(one.task.name) for other in one.task.before)
    assert names(list(reversed(items))) == order


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=30))
def test_any_wishes_are_ordered_or_refused(wishes: list[tuple[str, str]]) -> None:
    items = [item(name, tuple({other for who, other in wishes if who == name})) for name in NAMES]
    try:
        order = names(items)
    except OrderError as error:
        assert "circle" in str(error)
    else:
        assert all(order.index(other) < order.index(who) for who, other in wishes)
