"""Tasks that don't come with the helper: files that image authors wrote

Their declarations come as data: from the job, or from the index that the helper image's build makes. The files
themselves are compiled and executed when their turn comes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from helper_agent import declaration
from helper_agent.api import Context, Task, TaskError
from helper_agent.records import NamedTuple
from helper_agent.registry import OUTSIDE, Entry, RegistryError

if TYPE_CHECKING:
    from types import ModuleType

    from helper_agent.job import TaskFile

INDEX = "index.json"
WORK = "/run/helper/tasks"
"""Where programs from the job get a name, so that they can be executed."""


class File(NamedTuple):
    """A task's file, and what was read of it before"""

    task: Task
    kind: str
    heading: str
    source: str
    path: str
    """Where it is here; "" for one whose content came with the job."""
    content: bytes


def from_job(tasks: Iterable[TaskFile], payloads: Mapping[str, bytes]) -> tuple[Entry, ...]:
    """The tasks that came with the job; `payloads` are the config drive's files by name

    Raises:
        RegistryError: a declaration that says what can't be, or a file that is missing
    """
    entries = []
    for item in tasks:
        if item.payload not in payloads:
            raise RegistryError(f"{item.source} has no file {item.payload} on the config drive")
        task = _declared(item.source, item.task)
        entries.append(_entry(File(task, item.kind, item.heading, item.source, "", payloads[item.payload])))
    return tuple(entries)


def from_image(folder: str = OUTSIDE) -> tuple[Entry, ...]:
    """The tasks that the helper image was built with, by its index; none where there is no index

    Raises:
        RegistryError: as `from_job`
    """
    try:
        with open(f"{folder}/{INDEX}", "rb") as file:
            document = file.read()
    except FileNotFoundError:
        return ()
    import json

    entries = []
    for row in json.loads(document):
        task = _declared(row["source"], row["task"])
        path = f"{folder}/{row['file']}"
        entries.append(_entry(File(task, row["kind"], row["heading"], row["source"], path, b"")))
    return tuple(entries)


def _declared(source: str, data: Mapping[str, Any]) -> Task:
    try:
        task = declaration.from_plain(data)
    except declaration.DeclarationError as error:
        raise RegistryError(f"{source} {error}") from None
    if problem := declaration.problem(task, outside=True):
        raise RegistryError(f"{source} {problem}")
    return task


def _entry(file: File) -> Entry:
    run = _python(file) if file.kind == "python" else _program(file)
    return Entry(file.task, run, file.heading, file.source, file.kind)


# --- programs -------------------------------------------------------------------------------------------------------


def _program(file: File) -> Callable[[Context], None]:
    def run(context: Context) -> None:
        from helper_agent import programs

        programs.run_task(file.path or _written(file), file.task, context)

    return run


def _written(file: File) -> str:
    """The program as a file that can be executed"""
    os.makedirs(WORK, mode=0o700, exist_ok=True)
    path = f"{WORK}/{file.task.name}"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o700)
    with open(fd, "wb") as target:
        target.write(file.content)
    return path


# --- Python ---------------------------------------------------------------------------------------------------------


def _python(file: File) -> Callable[[Context], None]:
    def run(context: Context) -> None:
        load(file).run(context)

    return run


def load(file: File) -> ModuleType:
    """The module in a Python task's file, executed

    Raises:
        TaskError: it can't be, or TASK is another one now than was read before
    """
    content = file.content
    if file.path:
        with open(file.path, "rb") as opened:
            content = opened.read()
    module = type(sys)(f"helper_task.{file.task.name}")
    module.__file__ = file.source
    # linecache asks it for the lines of a traceback
    module.__loader__ = _Source(content)  # type: ignore[assignment]  # and nobody asks it for more
    # dataclasses look here for the module of a class
    sys.modules[module.__name__] = module
    try:
        code = compile(content, file.source, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102  what importlib would do, with a file that has no place in a path
    except Exception as error:
        raise _not_loaded(file, error) from error
    _check_same(file, getattr(module, "TASK", None))
    return module


class _Source:
    """A module's loader, as far as tracebacks want one (PEP 302)"""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_source(self, _name: str) -> str:
        """The module's text"""
        from importlib.util import decode_source

        return decode_source(self._content)


def _not_loaded(file: File, error: Exception) -> TaskError:
    from helper_agent.failures import where

    line = error.lineno if isinstance(error, SyntaxError) else _line(file, error)
    return TaskError(
        f"{file.source}, line {line}: {type(error).__name__}: {error}",
        "correct the task; it can import Python's standard library and helper_agent.api",
        output=where(error),
    )


def _line(file: File, error: Exception) -> int:
    """The last line of the file itself on the way to the error"""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file.source:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _check_same(file: File, task: object) -> None:
    """Whether TASK is what it was read as without running the file: the node has checked and ordered that one"""
    if not isinstance(task, Task):
        raise TaskError(f"{file.source} has a TASK at run time that is {task!r:.80}, not Task(...)")
    was, now = _plain(file.task), _plain(task)
    for name in now:
        if now[name] != was[name]:
            raise TaskError(
                f"{file.source} declares {name} = {was[name]!r} in its text, and {now[name]!r} at run time",
                "declare TASK once, with literals",
            )


def _plain(task: Task) -> dict[str, Any]:
    """A declaration with tuples as lists everywhere, as JSON would make them"""
    import json

    data: dict[str, Any] = json.loads(json.dumps(declaration.plain(task), default=repr))
    return data
