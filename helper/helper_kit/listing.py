"""Which tasks there are, in which order, and why: the table of `task list`"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from helper_agent import order
from helper_agent.declaration import PHASES, plain

if TYPE_CHECKING:
    from helper_kit.manual import Documented

AFTER, ASKED = "after ", order.ASKED
"""How a reason begins, and how one ends that the other task gives."""


class Row(NamedTuple):
    """One task in the order"""

    item: Documented
    reasons: tuple[str, ...]
    """Why it stands where it does; empty: by its name, or its place in `order.PLACES`."""
    skipped: bool
    """By the settings."""

    @property
    def why(self) -> str:
        """`reasons` in words"""
        place = order.PLACES.get(self.item.task.name, 0)
        named = f"at the {'beginning' if place < 0 else 'end'} of its phase" if place else "by name"
        own = [reason.removeprefix(AFTER) for reason in self.reasons if not reason.endswith(ASKED)]
        others = [reason.removeprefix(AFTER).removesuffix(ASKED) for reason in self.reasons if reason.endswith(ASKED)]
        asked = ASKED if len(others) == 1 else ASKED.replace(" is ", " are ")
        said = [f"{AFTER}{', '.join(own)}"] if own else []
        said += [f"{AFTER}{', '.join(others)}{asked}"] if others else []
        return "; ".join(said) or named


def rows(items: Iterable[Documented], skipped: Collection[str] = ()) -> list[Row]:
    """`items` in the order they run

    Raises:
        order.OrderError
    """
    found: tuple[Any, ...] = order.ordered(items)
    reasons = order.reasons(found)
    return [Row(item, reasons[item.task.name], item.task.name in skipped) for item in found]


def table(listed: Sequence[Row]) -> str:
    """For a terminal"""
    lines = [("", "TASK", "FROM", "WHY HERE")]
    for phase in PHASES:
        number = 0
        lines.append((f"{phase}:", "", "", ""))
        for row in listed:
            if row.item.task.phase == phase:
                number += 1
                lines.append((f"{number:3}", row.item.task.name, row.item.source, row.why + _remarks(row)))
    return "\n".join(_aligned(lines))


def data(listed: Sequence[Row]) -> list[dict[str, Any]]:
    """For JSON"""
    return [
        {
            "name": row.item.task.name,
            "phase": row.item.task.phase,
            "source": row.item.source,
            "kind": row.item.kind,
            "heading": row.item.heading,
            "why": row.why,
            "skipped": row.skipped,
            "task": plain(row.item.task),
        }
        for row in listed
    ]


def _remarks(row: Row) -> str:
    task = row.item.task
    remarks = [
        "skipped by the settings" if row.skipped else "",
        "optional" if task.optional else "",
        "" if "create" in task.actions else f"at {', '.join(task.actions)} only",
        f"for {', '.join(task.distros)}" if task.distros else "",
    ]
    text = "; ".join(filter(None, remarks))
    return f"  [{text}]" if text else ""


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    whole = [line for line in lines if any(line[1:])]
    widths = [max(len(line[column]) for line in whole) for column in range(len(whole[0]))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in whole]
    rest = iter(padded)
    return [next(rest).rstrip() if any(line[1:]) else line[0] for line in lines]
