"""All that can be known of a task's file without running it"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from helper_agent import order
from helper_agent.declaration import DeclarationError
from helper_agent.taskfile import PYTHON, TaskFile
from helper_kit import files
from helper_kit.lint import access, context, imports, program
from helper_kit.lint.finding import ERROR, WARNING, Finding, Source

if TYPE_CHECKING:
    from helper_kit.manual import Documented

__all__ = ["ERROR", "WARNING", "Finding", "check"]

LINE = re.compile(r" \(line (\d+)\)")
"""Where a declaration's error has the line."""


def check(paths: Sequence[str], others: Iterable[Documented] = ()) -> list[Finding]:
    """Findings in the task files `paths`, by file and line

    Args:
        others: tasks that will be there too: their names, and whom they run after, count

    Raises:
        files.KitError: a file can't be read
    """
    findings: list[Finding] = []
    items: list[TaskFile] = []
    for path in paths:
        try:
            items.append(files.read(path))
        except DeclarationError as error:
            findings.append(_declaration(path, str(error)))
            continue
        findings += _python(items[-1]) if items[-1].kind == PYTHON else program.check(path, items[-1])
    findings += _order(items, list(others))
    return sorted(findings, key=lambda finding: (finding.path, finding.line, finding.level, finding.text))


def _declaration(path: str, text: str) -> Finding:
    line = LINE.search(text)
    cause, _, remedy = LINE.sub("", text).partition("; ")
    number = int(line[1]) if line else _line(files.content(path))
    return Finding(path, number, ERROR, cause, remedy or "correct the declaration")


def _python(item: TaskFile) -> Iterator[Finding]:
    source = Source(item.source, ast.parse(item.content, item.source))
    yield from imports.check(source)
    yield from access.check(source, item.task)
    yield from context.check(source, item.task)
    for node in source.tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and _lacks_docstring(node):
            yield source.warning(node, f"{node.name} has no docstring", "say what it does, in one line")


def _lacks_docstring(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return not node.name.startswith("_") and ast.get_docstring(node) is None


def _order(items: list[TaskFile], others: list[Documented]) -> Iterator[Finding]:
    """One finding for each file that can't be put into the order"""
    left = list(items)
    while True:
        try:
            order.ordered([*others, *left])
            return
        except order.OrderError as error:
            text = str(error)
        named = [item for item in left if item.source in text]
        if not named:
            # tasks that are there already don't go together; that is none of these files' fault
            return
        blamed = min(named, key=lambda item: text.index(item.source))
        # the finding begins with the file's name anyway
        own = f"{blamed.source} is to run "
        cause, _, remedy = text.replace(own, "is to run ", 1 if text.startswith(own) else 0).partition("; ")
        remedy = remedy or "correct the declaration in one of them"
        yield Finding(blamed.source, _line(blamed.content), ERROR, cause, remedy)
        left.remove(blamed)
        # the others are looked at without what it wants, though its name is there
        if blamed.task.name not in {item.task.name for item in (*others, *left)}:
            left.append(blamed._replace(task=blamed.task._replace(after=(), before=())))


def _line(content: bytes) -> int:
    """Where the declaration in a file begins"""
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        if line.startswith(("TASK", "# /// task")):
            return number
    return 1
