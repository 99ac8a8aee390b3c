"""In which order tasks run, and why

Devices before filesystems, each task after those that it or they name, and otherwise by name. A few have a place of
their own: cleaning up comes first, then an overlay; at the end files of the user, a swap file, which takes room that
all others must have found, a custom task, and labels for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from helper_agent.declaration import CUSTOM, PHASES

if TYPE_CHECKING:
    from typing import Protocol

    from helper_agent.declaration import Task

    class Item(Protocol):
        """Anything with a declaration and the name of the file that it is in"""

        @property
        def task(self) -> Task: ...
        @property
        def source(self) -> str: ...

    T = TypeVar("T", bound=Item)
else:
    T = TypeVar("T")


PLACES: Mapping[str, int] = {"cleanup": -2, "overlay": -1, "files": 1, "swap": 2, CUSTOM: 3, "selinux": 4}
"""Task -> its place in its phase; all others are at 0."""
ASKED = ", which is to run before it"
"""How the reason ends for which not the task itself but the other one is the cause."""


class OrderError(Exception):
    """There is no such order; the text names the files, and may have a remedy behind `; `"""


def ordered(items: Iterable[T]) -> tuple[T, ...]:
    """`items` in the order they run

    Raises:
        OrderError: two of one name, one that is to run after or before a task that doesn't exist or is of the other
            phase, or several that wait for each other in a circle
    """
    waiting = _by_name(items)
    edges = _edges(waiting)
    result: list[T] = []
    while waiting:
        ready = next((name for name in waiting if not any(other in waiting for other in edges[name])), None)
        if ready is None:
            raise OrderError(_circle(waiting, edges))
        result.append(waiting.pop(ready))
    return tuple(result)


def reasons(items: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    """For each task why it stands where it does: `after hostname`, `after network, which is to run before it`

    Raises:
        OrderError
    """
    edges = _edges(_by_name(items))
    return {name: tuple(f"after {other}{remark}" for other, remark in others.items()) for name, others in edges.items()}


def _by_name(items: Iterable[T]) -> dict[str, T]:
    known: dict[str, T] = {}
    for item in sorted(
        items, key=lambda item: (PHASES.index(item.task.phase), PLACES.get(item.task.name, 0), item.task.name)
    ):
        if item.task.name in known:
            other = known[item.task.name]
            raise OrderError(f"{item.source} and {other.source} both declare the task {item.task.name}")
        known[item.task.name] = item
    return known


def _edges(known: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Task -> the tasks that it has to wait for -> who said so ("": the task itself)"""
    edges: dict[str, dict[str, str]] = {name: {} for name in known}
    for name, item in known.items():
        for word, others in (("after", item.task.after), ("before", item.task.before)):
            for other in others:
                _check(known, item, word, other)
                if word == "after":
                    edges[name][other] = ""
                else:
                    edges[other].setdefault(name, ASKED)
    return edges


def _check(known: Mapping[str, Any], item: Any, word: str, other: str) -> None:
    if other not in known:
        import difflib

        close = difflib.get_close_matches(other, known, 1)
        hint = f"is {close[0]} meant?" if close else "see what there is: ganeti-instance-helper task list"
        raise OrderError(f"{item.source} is to run {word} {other}, which is no task; {hint}")
    here, there = PHASES.index(item.task.phase), PHASES.index(known[other].task.phase)
    if (here < there and word == "after") or (here > there and word == "before"):
        when = "later" if word == "after" else "earlier"
        raise OrderError(
            f"{item.source} is to run {word} {other} ({known[other].source}), which runs in a {when} phase"
        )


def _circle(waiting: Mapping[str, Any], edges: Mapping[str, Mapping[str, str]]) -> str:
    """One circle among those that wait, in words; each of them waits for another, so that walking on finds one"""
    path = [next(iter(waiting))]
    while True:
        name = next(other for other in edges[path[-1]] if other in waiting)
        if name in path:
            circle = [*path[path.index(name) :], name]
            break
        path.append(name)
    steps = [
        f"{late} ({waiting[late].source}) after {early} ({waiting[early].source})"
        for late, early in zip(circle, circle[1:], strict=False)  # noqa: RUF007  itertools is not needed for one line
    ]
    return f"These tasks are to run after each other in a circle: {', '.join(steps)}"
