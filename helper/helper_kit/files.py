"""Task files on an author's disk"""

from __future__ import annotations

import os
from collections.abc import Iterable

from helper_agent import taskfile
from helper_agent.declaration import DeclarationError
from helper_agent.taskfile import TaskFile


class KitError(Exception):
    """What an author asked for can't be done: `cause` says what, `remedy` what to do"""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy


def find(paths: Iterable[str]) -> list[str]:
    """The task files among `paths`: a file is taken as it is, of a folder the tasks in it

    Raises:
        KitError: there is no such file
    """
    found: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            below = [os.path.join(path, name) for name in taskfile.among(os.listdir(path))]
            found += [each for each in below if os.path.isfile(each)]
        elif os.path.isfile(path):
            found.append(path)
        else:
            raise KitError(f"There is no file {path}", "give a task's file, or a folder with some")
    return list(dict.fromkeys(found))


def content(path: str) -> bytes:
    """Of a task's file, a little more than one may have

    Raises:
        KitError: it can't be read
    """
    try:
        with open(path, "rb") as file:
            return file.read(taskfile.SIZE_MAX + 1)
    except PermissionError as error:
        raise KitError(f"{path} can't be read ({error.strerror})", "look at its mode") from None
    except OSError as error:
        raise KitError(f"{path} can't be read ({error.strerror})", "give a task's file") from None


def sidecar(path: str) -> bytes | None:
    """The declaration beside the program `path`, FILE.toml; None where there is none"""
    beside = f"{path}.toml"
    return content(beside) if os.path.isfile(beside) else None


def read(path: str) -> TaskFile:
    """The task in the file `path`

    Raises:
        KitError: it can't be read
        DeclarationError: it declares no task; the text follows the name of the file
    """
    return taskfile.read(path, content(path), sidecar(path))


def load(path: str) -> TaskFile:
    """`read`, for commands that need it

    Raises:
        KitError
    """
    try:
        return read(path)
    except DeclarationError as error:
        raise KitError(f"{path} {error}", f"see what else there is: ganeti-instance-helper task lint {path}") from None
