"""Reads what a task's file declares without running it

Nothing of the file is imported or executed: a Python task's declaration is taken from its syntax tree, so it has to be
made of literals; a program's from a block of TOML in its comments, in the form of inline script metadata (PEP 723):

    #!/bin/sh
    # /// task
    # api = 1
    # heading = "Say in /etc/motd what this machine is"
    # phase = "filesystems"
    # [options.owner]
    # kind = "str"
    # help = "Domain that the machine belongs to"
    # ///

A program without comments (an ELF file) has the same TOML in a file beside it, FILE.toml. The node and the kit use this
module; the agent gets declarations as data.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from typing import Any

from helper_agent import declaration, toml
from helper_agent.declaration import CUSTOM, DeclarationError, Option, Task
from helper_agent.records import NamedTuple

PYTHON, PROGRAM = "python", "program"
SIZE_MAX = 1 << 20
"""Most bytes of a task's file."""
TOML_MAX = 1 << 16
"""Most bytes of a program's declaration."""
SUFFIXES = (".py", ".sh", ".bash", ".pl")
"""Endings of a file's name that are no part of the task's."""
IGNORED = re.compile(
    r"(?i)\..*|.*~|.*\.(bak|toml|rpmsave|rpmnew|rpmorig)|.*\.dpkg-.*|readme.*|test_.*\.py|conftest\.py"
)
"""Names of files in a tasks folder that are no tasks: an editor's and a packager's, tests, sidecars of programs."""
START = re.compile(r"(?m)^# /// task$")
BLOCK = re.compile(r"(?m)^# /// task$\s(?P<content>(^#(| .*)$\s)+)^# ///$")
"""PEP 723's reference expression, for blocks of type task."""


class NotPython(DeclarationError):
    """What was taken for Python is something else, or has a mistake"""


class TaskFile(NamedTuple):
    """A task's file, read"""

    task: Task
    kind: str
    """python: a module with TASK and run(context); program: an executable."""
    heading: str
    manual: str
    """What follows the heading in its docstring or `description`."""
    source: str
    """The file, for messages."""
    content: bytes


def read(source: str, content: bytes, sidecar: bytes | None = None, *, one_off: bool = False) -> TaskFile:
    """The task in the file `source`

    Args:
        sidecar: content of FILE.toml beside a program
        one_off: it is no file but an OS parameter's value: a program then needs no declaration

    Raises:
        DeclarationError: the text follows the name of the file
    """
    if len(content) > SIZE_MAX:
        raise DeclarationError(f"has {len(content)} bytes, more than the {SIZE_MAX} that a task may have")
    program = content.startswith((b"#!", b"\x7fELF"))
    if not program and not one_off and not source.endswith(".py"):
        raise DeclarationError("is neither Python (NAME.py) nor a program (#!... in its first line, or ELF)")
    try:
        result = _program(source, content, sidecar, one_off) if program else _python(source, content)
    except NotPython as error:
        raise DeclarationError(f"has no #! in its first line and {error}" if one_off else str(error)) from None
    if problem := declaration.problem(result.task, outside=True):
        raise DeclarationError(problem)
    if not one_off and (name := task_name(source)) != result.task.name:
        raise DeclarationError(f"declares the task {result.task.name}; name file and task alike, now it is {name}")
    return result


def task_name(source: str) -> str:
    """The task's name as its file's name has it"""
    name = source.rpartition("/")[2]
    return next((name.removesuffix(suffix) for suffix in SUFFIXES if name.endswith(suffix)), name)


def among(names: Iterable[str]) -> list[str]:
    """Those of a tasks folder's file names that are tasks' files, sorted; sub-folders are the caller's to leave out"""
    return sorted(name for name in names if not IGNORED.fullmatch(name))


# --- Python ---------------------------------------------------------------------------------------------------------


def _python(source: str, content: bytes) -> TaskFile:
    try:
        tree = ast.parse(content, source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) and error.lineno else ""
        raise NotPython(f"is not Python: {getattr(error, 'msg', error)}{line}") from None
    heading, _, manual = (ast.get_docstring(tree) or "").partition("\n")
    if not heading:
        raise DeclarationError("has no docstring; its first line is the task's heading")
    _check_run(tree)
    return TaskFile(_task(_declared(tree)), PYTHON, heading.strip(), manual.strip(), source, content)


def _declared(tree: ast.Module) -> ast.Call:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "TASK" for target in targets):
            value = node.value  # type: ignore[attr-defined]  # both have one
            if isinstance(value, ast.Call) and _called(value) == "Task":
                return value
            raise DeclarationError(f"has a TASK that is not Task(...) (line {node.lineno})")
    raise DeclarationError("has no TASK = Task(...)")


def _check_run(tree: ast.Module) -> None:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "run":
            arguments = node.args
            needed = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
            if needed == 1 and not any(default is None for default in arguments.kw_defaults):
                return
            raise DeclarationError(
                f"has a function run that doesn't take one argument, the context (line {node.lineno})"
            )
    raise DeclarationError("has no function run(context)")


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _task(call: ast.Call) -> Task:
    fields = _fields(call, Task._fields)
    nodes = fields.pop("options", None)
    values = {name: _literal(node, f"Task.{name}") for name, node in fields.items()}
    options: list[Option] = []
    if nodes is not None:
        if not isinstance(nodes, (ast.Tuple, ast.List)):
            raise DeclarationError(f"has options that are no tuple of Option(...) (line {nodes.lineno})")
        for node in nodes.elts:
            if not isinstance(node, ast.Call) or _called(node) != "Option":
                raise DeclarationError(f"has an option that is not Option(...) (line {node.lineno})")
            parts = _fields(node, Option._fields)
            try:
                options.append(Option(**{name: _literal(part, f"Option.{name}") for name, part in parts.items()}))
            except TypeError as error:
                raise DeclarationError(f"has an incomplete Option (line {node.lineno}): {error}") from None
    lists: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return Task(**lists, options=tuple(options))
    except TypeError as error:
        raise DeclarationError(f"has an incomplete Task (line {call.lineno}): {error}") from None


def _fields(call: ast.Call, names: tuple[str, ...]) -> dict[str, ast.expr]:
    found = dict(zip(names, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg not in names:
            raise DeclarationError(
                f"declares {keyword.arg or '**'}, which version {declaration.API_VERSION} of the task API doesn't have"
                f" (line {call.lineno}); it has: {', '.join(names)}"
            )
        found[keyword.arg] = keyword.value
    return found


def _literal(node: ast.expr, what: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise DeclarationError(
            f"has a {what} that is no literal (line {node.lineno}); declarations are read without running the file"
        ) from None


# --- programs -------------------------------------------------------------------------------------------------------


def _program(source: str, content: bytes, sidecar: bytes | None, one_off: bool) -> TaskFile:
    document = sidecar
    if document is None:
        text = content.decode("utf-8", "replace").replace("\r\n", "\n")
        # Not BLOCK.search: with many beginnings and no end it would take time by the square of their number
        start = START.search(text)
        match = BLOCK.match(text, start.start()) if start else None
        if match:
            lines = match["content"].splitlines(keepends=True)
            document = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines).encode()
    if document is None:
        if one_off:
            # As snf-image's custom tasks had it: the tree's path, and chroot into it
            privileges = ("tree-path", "image-programs")
            task = Task(
                name=CUSTOM, phase="filesystems", api=declaration.API_VERSION, families=(), privileges=privileges
            )
            return TaskFile(task, PROGRAM, "Run the custom task that was given", "", source, content)
        raise DeclarationError('has no declaration: a block of comments "# /// task" ... "# ///", or a file FILE.toml')
    return _declared_program(source, content, _toml(document), one_off)


def _declared_program(source: str, content: bytes, table: dict[str, Any], one_off: bool) -> TaskFile:
    heading, manual = table.pop("heading", ""), table.pop("description", "")
    if not isinstance(heading, str) or not heading or not isinstance(manual, str):
        raise DeclarationError("declares no heading")
    options = table.pop("options", {})
    if not isinstance(options, Mapping) or not all(isinstance(row, Mapping) for row in options.values()):
        raise DeclarationError("declares options that are no tables [options.NAME]")
    if unknown := sorted(set(table) - set(Task._fields)):
        raise DeclarationError(
            f"declares {unknown[0]}, which version {declaration.API_VERSION} of the task API doesn't have"
        )
    name = CUSTOM if one_off else task_name(source)
    try:
        rows = [{"name": each, **row} for each, row in options.items()]
        task = declaration.from_plain({"name": name, "phase": "filesystems", **table, "options": rows})
    except TypeError as error:
        raise DeclarationError(f"has an incomplete declaration: {error}") from None
    return TaskFile(_privileged(task), PROGRAM, heading, manual.strip(), source, content)


def _privileged(task: Task) -> Task:
    """A program can't use the path API: it always gets the path, and the log says so"""
    if type(task.privileges) is not tuple or "tree-path" in task.privileges or task.phase == "devices":
        return task
    return task._replace(privileges=("tree-path", *task.privileges))


def _toml(document: bytes) -> dict[str, Any]:
    if len(document) > TOML_MAX:
        raise DeclarationError(f"has a declaration of more than {TOML_MAX >> 10} KiB")
    try:
        return toml.parse(document)
    except ValueError as error:
        raise DeclarationError(f"has a declaration that is not TOML: {error}") from None
