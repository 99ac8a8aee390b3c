"""Which tasks a deployment has: those in the helper image, those of the node's tasks.d, and a one-off one

All that can be wrong with them is said before anything is written. Where tasks.d is empty this costs nothing: what
reads tasks' files is imported only when there is one.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from helper_agent import order
from helper_agent.declaration import DeclarationError, Task, plain
from helper_host import trusted
from helper_host.errors import ProviderError

if TYPE_CHECKING:
    from helper_agent.taskfile import TaskFile
    from helper_host.helper_image import HelperImage
    from helper_host.settings import Settings

REMEDY = "correct it, or move it out of the folder (ganeti-instance-helper task lint tells more)"
SHIPPED_MAX = 200
"""Most tasks on top of the helper image's: each takes some of the messages that a run may send."""
BYTES_MAX = 16 << 20
"""Most bytes of them in all; they share the config drive with the job."""
DECLARATION_MAX = 64 << 10
"""Most bytes of one's declaration as JSON: it is part of the job."""


class Known(NamedTuple):
    """One task, wherever it is from"""

    task: Task
    source: str
    """Its file, for messages."""
    heading: str
    manual: str
    """What follows the heading in its docstring or description."""
    kind: str
    """python or program."""
    content: bytes | None = None
    """Of a task that goes to the helper with the job; None: the helper image has it."""


class Tasks(NamedTuple):
    """All tasks of a deployment"""

    rows: tuple[Known, ...]
    """In the order they run."""

    @property
    def shipped(self) -> tuple[Known, ...]:
        """Those that go to the helper with the job"""
        return tuple(row for row in self.rows if row.content is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """In the order they run"""
        return tuple(row.task.name for row in self.rows)

    def find(self, name: str) -> Task | None:
        """The declaration of a task"""
        return next((row.task for row in self.rows if row.task.name == name), None)

    def missing(self, name: str) -> str:
        """What to tell a person who named a task that isn't there: the one that is meant, or all"""
        import difflib

        close = difflib.get_close_matches(name, self.names, 1)
        return f"did you mean {close[0]}?" if close else f"the tasks are {', '.join(self.names)}"


def collect(settings: Settings, helper: HelperImage, custom: TaskFile | None = None) -> Tasks:
    """All tasks, in order; `custom`: a one-off task

    Raises:
        ProviderError: E-TASKS, naming the file or both files
    """
    outside = _folder(settings.tasks_folder)
    if custom is not None:
        outside.append(_known(custom))
    _check_sizes(outside, settings.tasks_folder)
    try:
        return Tasks(order.ordered([*helper.tasks, *outside]))
    except order.OrderError as error:
        cause, _, remedy = str(error).partition("; ")
        raise ProviderError("E-TASKS", cause, remedy or "correct the declaration in one of them") from None


def _folder(folder: str) -> list[Known]:
    """The tasks in tasks.d; a folder that is not there is an empty one"""
    try:
        names = trusted.names(folder)
    except FileNotFoundError:
        return []
    except trusted.Untrusted as error:
        raise ProviderError("E-TASKS", f"{folder} {error.why}", error.remedy) from None
    if not names:
        return []
    # late: with it come Python's parser and regular expressions
    from helper_agent import taskfile

    return [_read(folder, name, sidecar=f"{name}.toml" in names) for name in taskfile.among(names)]


def _read(folder: str, name: str, *, sidecar: bool) -> Known:
    from helper_agent import taskfile

    path = os.path.join(folder, name)
    content = _content(path)
    declared = _content(f"{path}.toml") if sidecar else None
    try:
        return _known(taskfile.read(path, content, declared))
    except DeclarationError as error:
        raise ProviderError("E-TASKS", f"{path} {error}", REMEDY) from None


def _content(path: str) -> bytes:
    from helper_agent import taskfile

    try:
        return trusted.read(path, taskfile.SIZE_MAX, follow=False)
    except trusted.Untrusted as error:
        raise ProviderError("E-TASKS", f"{path} {error.why}", error.remedy) from None
    except FileNotFoundError:
        raise ProviderError("E-TASKS", f"{path} went away while it was read", "run it again") from None


def _known(file: TaskFile) -> Known:
    return Known(file.task, file.source, file.heading, file.manual, file.kind, file.content)


def _check_sizes(outside: list[Known], folder: str) -> None:
    for row in outside:
        if len(json.dumps([plain(row.task), row.heading])) > DECLARATION_MAX:
            raise ProviderError("E-TASKS", f"{row.source} declares more than {DECLARATION_MAX >> 10} KiB", REMEDY)
    total = sum(len(row.content or b"") for row in outside)
    if len(outside) > SHIPPED_MAX or total > BYTES_MAX:
        raise ProviderError(
            "E-TASKS",
            f"{folder} has {len(outside)} tasks of {total} bytes; a job holds {SHIPPED_MAX}, {BYTES_MAX} bytes",
            "build them into the helper image (make helper-image TASKS=folder)",
        )
