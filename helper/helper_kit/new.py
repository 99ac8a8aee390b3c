"""A new task: its file from a skeleton, and a test beside it that passes at once"""

from __future__ import annotations

import os
from typing import NamedTuple

from helper_agent import declaration
from helper_agent.declaration import API_VERSION, Task
from helper_kit import skeletons
from helper_kit.files import KitError


class Written(NamedTuple):
    """The files of a new task"""

    task: str
    test: str


def write(name: str, folder: str, *, program: bool = False, phase: str = "filesystems") -> Written:
    """A task named `name` and its test in `folder`

    Raises:
        KitError: the name is none for a task, or a file is there already; nothing was written
    """
    # a good task but for the name, so that only that can be wrong
    if problem := declaration.problem(Task(name, phase, api=API_VERSION), outside=True):
        cause, _, remedy = problem.removeprefix("declares ").partition("; ")
        raise KitError(f"A task can't be named so: {cause}", remedy or "such as org.example.motd")
    file = f"{name}{'.sh' if program else '.py'}"
    paths = Written(os.path.join(folder, file), os.path.join(folder, test_name(name)))
    for path in paths:
        if os.path.lexists(path):
            raise KitError(f"{path} is there already", "give another name, or another --folder")
    words = {"name": name, "file": file, "api": API_VERSION, "phase": phase}
    try:
        os.makedirs(folder, exist_ok=True)
        _put(paths.task, skeletons.task(program, phase).format(**words), 0o777 if program else 0o666)
        _put(paths.test, skeletons.test(program, phase).format(**words), 0o666)
    except OSError as error:
        raise KitError(f"{error.filename} can't be written ({error.strerror})", "give another --folder") from None
    return paths


def test_name(name: str) -> str:
    """The test's file: a Python module's name has no dots"""
    return f"test_{name.replace('.', '_').replace('-', '_')}.py"


def _put(path: str, text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
