"""Whole folders, gone: symlinks not followed, other mounts not entered, nothing begun that can't be finished"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from helper_agent import clock, syscalls
from helper_agent.api import TaskError
from helper_agent.tree.places import refuse_immutable
from helper_agent.tree.reading import ENTRIES_MAX

DEPTH_MAX = 200
"""Folders in folders; each costs a descriptor while what is in it goes."""
_IN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def check(folder: int, name: str, path: str) -> None:
    """That all of the folder `name` can go; `path` is its path, for errors

    Raises:
        TaskError: a mount point or an immutable file is in it, or it is too large or too deep
    """
    _check(folder, name, path, DEPTH_MAX, ENTRIES_MAX)


def _check(folder: int, name: str, path: str, depth: int, left: int) -> int:
    """How many of the `left` names are left after those in the folder `name`"""
    if depth <= 0:
        raise TaskError(f"{path[:64]}... in the image has folders more than {DEPTH_MAX} deep")
    fd = _open_here(folder, name, path, _IN_FOLDER)
    try:
        refuse_immutable(fd, path)
        with os.scandir(fd) as entries:
            for entry in entries:
                clock.breathe()
                left -= 1
                if left <= 0:
                    raise TaskError(f"{path} in the image, and what is beside it, are more than {ENTRIES_MAX} names")
                below = f"{path}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    left = _check(fd, entry.name, below, depth - 1, left)
                else:
                    _check_file(fd, entry.name, below)
    finally:
        os.close(fd)
    return left


def _check_file(folder: int, name: str, path: str) -> None:
    fd = _open_here(folder, name, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            refuse_immutable(fd, path)
    finally:
        os.close(fd)


def _open_here(folder: int, name: str, path: str, flags: int) -> int:
    try:
        return syscalls.openat2(folder, name, flags, resolve=syscalls.RESOLVE_NO_XDEV)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    raise TaskError(f"Something is mounted on {path} in the image, so it can't be removed")


def remove(folder: int, name: str, between: Callable[[], None] = lambda: None) -> None:
    """`name` gone, a folder with all that is in it

    Args:
        between: called before each name goes

    Raises:
        FileNotFoundError, OSError
    """
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        fd = syscalls.openat2(folder, name, _IN_FOLDER, resolve=syscalls.RESOLVE_NO_XDEV)
        try:
            for below in os.listdir(fd):
                between()
                remove(fd, below, between)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=folder)
