"""How the tree changes: the few steps that all writing is made of, done at once and for good

`journal.Journal` has the same steps and can take them back. The caller shields them from a time limit (`clock`).
"""

from __future__ import annotations

import os

from helper_agent import clock

PREFIX = ".helper-"
"""Of names that are ours, until what they stand for has its own name."""


def new_name() -> str:
    """A name that nothing has"""
    return f"{PREFIX}{os.urandom(8).hex()}"


class Changes:
    """Steps by folder (a descriptor) and name in it"""

    def place(self, folder: int, draft: str, name: str) -> None:
        """What was made as `draft` is `name` from now on, in the place of a file or symlink that is there"""
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)

    def move(self, folder: int, name: str, to_folder: int, to: str) -> None:
        """`name` is elsewhere from now on, in the place of a file or symlink that is there"""
        os.rename(name, to, src_dir_fd=folder, dst_dir_fd=to_folder)

    def remove(self, folder: int, name: str) -> None:
        """Something else than a folder, gone; IsADirectoryError for one"""
        os.unlink(name, dir_fd=folder)

    def remove_tree(self, folder: int, name: str) -> None:
        """A folder with all that is in it, after `removal.check`"""
        from helper_agent.tree import removal

        removal.remove(folder, name, clock.breathe)

    def made(self, folder: int, name: str) -> None:
        """Something was made there"""

    def alters(self, fd: int) -> None:
        """Mode or owner of the open file or folder is about to change"""

    def hides(self, name: str) -> bool:
        """Whether `name` stands for something that a task has removed"""
        del name
        return False

    def commit(self) -> None:
        """Nothing is left to be done"""

    def rollback(self) -> None:
        """What is done is done"""
