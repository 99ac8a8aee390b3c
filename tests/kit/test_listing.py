"""The table of tasks"""

from __future__ import annotations

from helper_agent.declaration import Task
from helper_agent.taskfile import TaskFile
from helper_kit import builtin, listing


def item(name: str, phase: str = "filesystems", **fields: object) -> TaskFile:
    return TaskFile(Task(name, phase, **fields), "python", name, "", f"{name}.py", b"")  # type: ignore[arg-type]


def test_the_order_and_why() -> None:
    items = [item("org.b", after=("org.c",)), item("org.a"), item("org.c"), item("org.d", "devices"), item("custom")]
    rows = listing.rows(items, skipped=("org.a",))
    assert [(row.item.task.name, row.why, row.skipped) for row in rows] == [
        ("org.d", "by name", False),
        ("org.a", "by name", True),
        ("org.c", "by name", False),
        ("org.b", "after org.c", False),
        ("custom", "at the end of its phase", False),
    ]


def test_reasons_of_one_kind_are_said_once() -> None:
    items = [item("org.a", after=("org.b", "org.c")), item("org.b"), item("org.c"), item("overlay")]
    items += [item("org.d", before=("org.a",)), item("org.e", before=("org.a",))]
    why = {row.item.task.name: row.why for row in listing.rows(items)}
    assert why["org.a"] == "after org.b, org.c; after org.d, org.e, which are to run before it"
    assert why["overlay"] == "at the beginning of its phase"


def test_the_table_is_for_reading() -> None:
    items = [item("org.long", "devices"), item("org.a", optional=True), item("org.b", before=("org.a",))]
    assert listing.table(listing.rows(items, skipped=("org.a",))).splitlines() == [
        "     TASK      FROM         WHY HERE",
        "devices:",
        "  1  org.long  org.long.py  by name",
        "filesystems:",
        "  1  org.b     org.b.py     by name",
        "  2  org.a     org.a.py     after org.b, which is to run before it  [skipped by the settings; optional]",
    ]


def test_data_for_programs() -> None:
    (row,) = listing.data(listing.rows([item("org.a", api=1)]))
    assert (row["name"], row["phase"], row["source"], row["why"]) == ("org.a", "filesystems", "org.a.py", "by name")
    assert row["task"]["api"] == 1


def test_the_built_in_tasks_have_an_order() -> None:
    rows = listing.rows(builtin.tasks())
    assert [row.item.task.name for row in rows] == [each.task.name for each in builtin.tasks()]
