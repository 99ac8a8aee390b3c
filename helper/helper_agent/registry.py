"""Which tasks there are, in which order they run, and whether a job's options fit them

A built-in task is a module of the package `helper_agent.tasks`: its docstring's first line is its heading, `TASK` its
declaration, `run` the function. The file is named after the task, `-` as `_`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from helper_agent import declaration, order
from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.records import NamedTuple

if TYPE_CHECKING:
    from helper_agent.inspection import Devices
    from helper_agent.job import Job

PACKAGE = "helper_agent.tasks"
INDEX = "/usr/lib/helper-agent/declarations"
"""What the helper image's build writes with `write_index`."""
OUTSIDE = "/usr/lib/helper-agent/tasks.d"
"""Where the helper image has tasks of others that it was built with, if it was (`helper_agent.outside`)."""


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
    kind: str = "python"
    """python or program."""


def built_in(index: str = INDEX) -> tuple[Entry, ...]:
    """The built-in tasks, in the order they run; their modules are imported when their turn has come

    Most of them are asked for by nobody in most runs, and importing one costs some milliseconds under emulation. So the
    declarations are in the file `index`; without it all modules are imported.

    Raises:
        RegistryError: see `load`
    """
    import marshal

    try:
        with open(index, "rb") as file:
            # S302: the file is a part of the read-only image that this module comes from
            rows = marshal.loads(file.read())  # noqa: S302
    except FileNotFoundError:
        return load()
    return tuple(_from_index(*row) for row in rows)


def write_index(entries: Iterable[Entry], index: str) -> None:
    """Write the built-in tasks `entries`, which are in their order, for `built_in`

    Raises:
        OSError
    """
    import marshal

    rows = [
        # marshal knows no named tuples, and has no room for surprises
        (
            item.run.__module__,
            item.heading,
            item.source,
            tuple(item.task._replace(options=())),
            [*map(tuple, item.task.options)],
        )
        for item in entries
    ]
    with open(index, "wb") as file:
        file.write(marshal.dumps(rows, 2))


def _from_index(module: str, heading: str, source: str, task: tuple[Any, ...], options: list[Any]) -> Entry:
    def run(context: Context) -> None:
        from importlib import import_module

        import_module(module).run(context)

    declared = Task(*task)._replace(options=tuple(Option(*each) for each in options))
    return Entry(declared, run, heading, source)


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
        problem = declaration.problem(task)
    if problem or not isinstance(task, Task) or not callable(run):
        raise RegistryError(f"{source} {problem}")
    return Entry(task, run, heading, source)


def ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """`entries` in the order they run

    Raises:
        RegistryError: see `order.ordered`
    """
    try:
        return order.ordered(entries)
    except order.OrderError as error:
        raise RegistryError(str(error)) from None


def chosen(entries: Iterable[Entry], job: Job) -> tuple[Entry, ...]:
    """The tasks of the job: those that belong to its action, or those that it names; all its options are checked

    Raises:
        TaskError: E-OPTION, an unknown task or option, or a value of the wrong kind; never with a secret value
    """
    known = {item.task.name: item for item in entries}
    for name in (*job.skip_tasks, *job.only_tasks, *job.options):
        if name not in known:
            raise TaskError(f"There is no task {name!r}", f"tasks of this helper: {', '.join(known)}", code="E-OPTION")
    for name, values in job.options.items():
        check_options(known[name].task, values)
    return tuple(
        item
        for name, item in known.items()
        if name not in job.skip_tasks
        and (name in job.only_tasks if job.only_tasks else job.action in item.task.actions)
    )


def check_options(task: Task, values: Mapping[str, Any]) -> None:
    """Whether `values` are options that `task` declares

    Raises:
        TaskError: E-OPTION, naming option and value, but not a secret's
    """
    try:
        declaration.check_options(task, values)
    except declaration.OptionError as error:
        raise TaskError(error.cause, error.remedy, code="E-OPTION") from None


def misfit(task: Task, devices: Devices) -> str:
    """Why `task` is not for the system that was found, "" when it is"""
    if task.families and devices.family not in task.families:
        return f"for {', '.join(task.families)} only"
    release = devices.os_release
    ids = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if task.distros and not ids & set(task.distros):
        return f"for {', '.join(task.distros)} only"
    return ""
