"""All of a tree that a task could change, to be compared"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from tests.helper.support import Tree


class One(NamedTuple):
    """One name in the tree"""

    kind: int
    mode: int
    owner: tuple[int, int]
    inode: int
    links: int
    size: int
    content: bytes
    attributes: tuple[tuple[str, bytes], ...]


class Snapshot(dict[str, One]):
    """Path -> what is there, by the folder's own path "/" too

    Args:
        inodes: whether two trees are the same only if the very files are
    """

    def __init__(self, tree: Tree, *, inodes: bool = True) -> None:
        super().__init__({path: _one(tree, path, inodes) for path in ["/", *tree.names()]})


def _one(tree: Tree, path: str, inodes: bool) -> One:
    file = tree / path
    status = file.lstat()
    content = b""
    if stat.S_ISREG(status.st_mode) and status.st_size < 2**24:
        content = file.read_bytes()
    elif stat.S_ISLNK(status.st_mode):
        content = os.fsencode(os.readlink(file))
    names = sorted(os.listxattr(file, follow_symlinks=False))
    return One(
        stat.S_IFMT(status.st_mode),
        stat.S_IMODE(status.st_mode),
        (0, 0) if stat.S_ISLNK(status.st_mode) else tree.owner(path),  # nobody changes those
        status.st_ino if inodes else 0,
        status.st_nlink,
        0 if stat.S_ISDIR(status.st_mode) else status.st_size,
        content,
        tuple((name, os.getxattr(file, name, follow_symlinks=False)) for name in names),
    )
