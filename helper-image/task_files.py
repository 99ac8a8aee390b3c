"""The tasks of a helper image: the built-in ones, and the files of the folders that TASKS names

All are read, checked and put in order when the image is built: a node learns from the manifest what it needs to know,
and a mistake is told to who can correct it.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from helper_agent import declaration, order, registry, taskfile

BUILT_IN = "built-in"


class Tasks(NamedTuple):
    """What goes into an image"""

    rows: Sequence[Mapping[str, Any]]
    """For the manifest: all tasks in the order they run."""
    contents: Mapping[str, bytes]
    """File name -> content of those that are none of ours."""

    @property
    def index(self) -> list[dict[str, Any]]:
        """For the agent: those that are none of ours, and the file that each is in"""
        return [{**row, "file": row["source"]} for row in self.rows if row["source"] != BUILT_IN]

    @property
    def inputs(self) -> list[str]:
        """What the image depends on, for its digest"""
        return [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in self.contents.items()]


def read(folders: Iterable[Path]) -> Tasks:
    """The built-in tasks and those in `folders`; ends the build with the file named when one can't be used"""
    outside = [task for folder in folders for task in _folder(folder)]
    try:
        ordered = order.ordered([*_built_in(), *outside])
    except order.OrderError as error:
        raise SystemExit(f"E: {error}") from None
    contents: dict[str, bytes] = {}
    for task in outside:
        name = Path(task.source).name
        if name in contents:
            raise SystemExit(f"E: {task.source}: another folder has a file of that name")
        contents[name] = task.content
    return Tasks([_row(task) for task in ordered], dict(sorted(contents.items())))


def _folder(folder: Path) -> list[taskfile.TaskFile]:
    if not folder.is_dir():
        raise SystemExit(f"E: {folder}, which TASKS names, is no folder")
    files = {path.name: path for path in folder.iterdir() if path.is_file()}
    found = []
    for name in taskfile.among(files):
        sidecar = files.get(f"{name}.toml")
        try:
            declared = sidecar.read_bytes() if sidecar else None
            found.append(taskfile.read(str(files[name]), files[name].read_bytes(), declared))
        except declaration.DeclarationError as error:
            raise SystemExit(f"E: {files[name]} {error}") from None
        except OSError as error:
            raise SystemExit(f"E: {error.filename}: {error.strerror}") from None
    if not found:
        raise SystemExit(f"E: {folder}, which TASKS names, has no task in it")
    return found


def _built_in() -> list[taskfile.TaskFile]:
    return [
        taskfile.TaskFile(entry.task, taskfile.PYTHON, entry.heading, _manual(entry), BUILT_IN, b"")
        for entry in registry.load()
    ]


def _manual(entry: registry.Entry) -> str:
    module = sys.modules[entry.run.__module__]
    return (inspect.getdoc(module) or "").partition("\n")[2].strip()


def _row(task: taskfile.TaskFile) -> dict[str, Any]:
    return {
        "task": declaration.plain(task.task),
        "heading": task.heading,
        "manual": task.manual,
        "source": task.source if task.source == BUILT_IN else Path(task.source).name,
        "kind": task.kind,
    }
