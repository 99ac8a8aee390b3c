"""ganeti-instance-helper status [--json]: what is deployed on this node at the moment, and how the last ones ended"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from helper_host.commands import main as script
from helper_host.progress import units, view
from helper_host.progress.view import View

USAGE = """usage: ganeti-instance-helper status [--json]

Every deployment that is under way on this node, and how those of the last day ended."""


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0, 1 after an error (whose line is then the last one on stderr), 2 for wrong usage"""
    if list(arguments) in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if list(arguments) not in ([], ["--json"]):
        print(USAGE, file=sys.stderr)
        return 2

    def command() -> None:
        from helper_host.commands.tool import reader_may_leave

        text = _json() if arguments else _text()
        with reader_may_leave():
            print(text)

    return script.guarded_call("status", command)


def _json() -> str:
    where = view.folders()
    deployments = [{**each._asdict(), "done": each.done if each.done >= 0 else None} for each in view.under_way(where)]
    return json.dumps({"deployments": deployments, "ended": view.ended(where)}, indent=2)


def _text() -> str:
    where = view.folders()
    views, ended = view.under_way(where), view.ended(where)
    lines = _table([_row(each) for each in views]) if views else ["No deployment is under way."]
    if ended:
        lines += ["", "ended:"]
        lines += [f"  {name}  {view.outcome_line(outcome)}" for name, outcome in sorted(ended.items())]
    return "\n".join(lines)


HEADINGS = ("INSTANCE", "ACTION", "PHASE", "DONE", "RATE", "LEFT", "AGE", "PID")


def _row(each: View) -> tuple[str, ...]:
    if not each.alive:
        return each.instance, each.action, f"dead: {each.phase}", each.far, "", "", units.duration(each.age), ""
    rate = units.rate(each.rate) if each.done >= 0 else ""
    left = units.duration(each.left) if each.left is not None else ""
    age = units.duration(each.age)
    return each.instance, each.action, each.phase, each.far, rate, left, age, str(each.pid)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    lines = []
    for row in (HEADINGS, *rows):
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return lines
