"""Which tasks there are, in which order they run, and whether a job's options fit them

A built-in task is a module of the package `helper_agent.tasks`: its docstring's first line is its heading, `TASK` its
declaration, `run` the function. The file is named after the task, `-` as `_`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from helper_agent.api import KINDS, Context, Task, TaskError
from helper_agent.records import NamedTuple

if TYPE_CHECKING:
    from helper_agent.inspection import System
    from helper_agent.protocol import Job

PACKAGE = "helper_agent.tasks"
PHASES = ("devices", "filesystems")
ACTIONS = ("create", "rename")
OWN_STEPS = ("inspect", "mount", "umount")
"""Steps of the agent itself; no task may have such a name."""

_KIND_WORDS = {"str": "text", "int": "a whole number", "bool": "true or false", "list": "a list of texts"}


class RegistryError(Exception):
    """A task's file is not one; the message names the file. A defect of the task's author, never of a user"""


class Entry(NamedTuple):
    """A task that was loaded"""

    task: Task
    run: Callable[[Context], None]
    heading: str
    """For the manual and the log: what the task does, in one line."""
    source: str
    """The task's file."""


def load(package: str = PACKAGE) -> tuple[Entry, ...]:
    """All tasks of `package`, in the order they run

    Raises:
        RegistryError: see `entry` and `ordered`
    """
    from importlib import import_module

    folders: Sequence[str] = import_module(package).__path__
    files = [name for folder in folders for name in os.listdir(folder)]
    names = {name.partition(".")[0] for name in files if name.endswith((".py", ".pyc"))}
    entries = []
    for name in sorted(names - {"__init__"}):
        try:
            module = import_module(f"{package}.{name}")
        except Exception as error:
            raise RegistryError(f"{package}.{name} can't be imported: {type(error).__name__}: {error}") from error
        entries.append(entry(module))
    return ordered(entries)


def entry(module: ModuleType) -> Entry:
    """The task in `module`

    Raises:
        RegistryError: TASK or run is missing, or the declaration says what can't be
    """
    source = module.__file__ or module.__name__
    task, run = getattr(module, "TASK", None), getattr(module, "run", None)
    heading = (module.__doc__ or "").strip().partition("\n")[0]
    expected = task.name.replace("-", "_") if isinstance(task, Task) else ""
    if not isinstance(task, Task) or not callable(run):
        problem = "has no TASK declaration or no function run"
    elif not heading:
        problem = "has no docstring"
    elif module.__name__.rpartition(".")[2] != expected:
        problem = f"should be named {expected}.py, as its task"
    else:
        problem = _problem(task)
    if problem or not isinstance(task, Task) or not callable(run):
        raise RegistryError(f"{source} {problem}")
    return Entry(task, run, heading, source)


def _problem(task: Task) -> str:
    """What is wrong with a declaration, "" if nothing"""
    names = [option.name for option in task.options]
    if task.name in OWN_STEPS:
        return f"declares the name {task.name}, a step of the agent's own"
    if not all(character.islower() or character.isdigit() or character in "-." for character in task.name):
        return f"declares the name {task.name!r}; use lower-case letters, digits and hyphens"
    if task.phase not in PHASES:
        return f"declares the phase {task.phase!r}, which is none of {', '.join(PHASES)}"
    if unknown := set(task.actions) - set(ACTIONS):
        return f"declares actions that don't exist: {', '.join(sorted(unknown))}"
    if len(set(names)) != len(names):
        return "declares an option twice"
    for option in task.options:
        if option.kind not in KINDS:
            return f"declares the option {option.name} of the unknown kind {option.kind!r}"
        if option.default is not None and not _fits(option.kind, option.default):
            return f"declares for the option {option.name} a default that is not {_KIND_WORDS[option.kind]}"
    return ""


def ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """`entries` in the order they run: devices before filesystems, each after what it names, else by name

    Raises:
        RegistryError: two of one name, `after` a task that doesn't exist or runs in a later phase, or in a circle
    """
    waiting: dict[str, Entry] = {}
    for item in sorted(entries, key=lambda item: (PHASES.index(item.task.phase), item.task.name)):
        if item.task.name in waiting:
            other = waiting[item.task.name]
            raise RegistryError(f"{item.source} and {other.source} both declare the task {item.task.name}")
        waiting[item.task.name] = item
    for item in waiting.values():
        for name in item.task.after:
            if name not in waiting:
                raise RegistryError(f"{item.source} is to run after {name}, which is no task")
            if PHASES.index(waiting[name].task.phase) > PHASES.index(item.task.phase):
                raise RegistryError(f"{item.source} is to run after {name}, which runs in a later phase")
    result: list[Entry] = []
    while waiting:
        ready = next((item for item in waiting.values() if not waiting.keys() & set(item.task.after)), None)
        if ready is None:
            circle = ", ".join(item.source for item in waiting.values())
            raise RegistryError(f"these tasks are to run after each other in a circle: {circle}")
        result.append(waiting.pop(ready.task.name))
    return tuple(result)


def chosen(entries: Iterable[Entry], job: Job) -> tuple[Entry, ...]:
    """The tasks that belong to the job's action and aren't to be skipped; all the job's options are checked

    Raises:
        TaskError: E-OPTION, an unknown task or option, or a value of the wrong kind; never with a secret value
    """
    known = {item.task.name: item for item in entries}
    for name in (*job.skip_tasks, *job.options):
        if name not in known:
            raise TaskError(f"There is no task {name!r}", f"tasks of this helper: {', '.join(known)}", code="E-OPTION")
    for name, values in job.options.items():
        check_options(known[name].task, values)
    return tuple(
        item for item in known.values() if job.action in item.task.actions and item.task.name not in job.skip_tasks
    )


def check_options(task: Task, values: Mapping[str, Any]) -> None:
    """Whether `values` are options that `task` declares

    Raises:
        TaskError: E-OPTION, naming option and value, but not a secret's
    """
    declared = {option.name: option for option in task.options}
    for name, value in values.items():
        option = declared.get(name)
        if option is None:
            known = ", ".join(declared) or "none"
            raise TaskError(f"The task {task.name} has no option {name!r}", f"it has: {known}", code="E-OPTION")
        if not _fits(option.kind, value):
            quoted = "" if option.secret else f", not {value!r}"
            raise TaskError(
                f"The option {name} of the task {task.name} takes {_KIND_WORDS[option.kind]}{quoted}",
                option.help,
                code="E-OPTION",
            )


def _fits(kind: str, value: Any) -> bool:
    if kind == "list":
        return isinstance(value, (list, tuple)) and all(type(item) is str for item in value)
    return type(value) is {"str": str, "int": int, "bool": bool}[kind]


def misfit(task: Task, system: System) -> str:
    """Why `task` is not for the system that was found, "" when it is"""
    if task.families and system.family not in task.families:
        return f"for {', '.join(task.families)} only"
    release = system.os_release
    ids = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if task.distros and not ids & set(task.distros):
        return f"for {', '.join(task.distros)} only"
    return ""
