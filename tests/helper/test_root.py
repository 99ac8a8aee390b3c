"""The path API: what it does, and that no trap leads it out of the tree or into half a file"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from helper_agent.api import TaskError
from helper_agent.root import Root
from tests.helper import traps
from tests.helper.support import Tree

ACTIONS: dict[str, Callable[[Root, str], Any]] = {
    "read": lambda root, path: root.read(path),
    "write": lambda root, path: root.write(path, "ours\n"),
    "write-nofollow": lambda root, path: root.write(path, "ours\n", follow=False),
    "append": lambda root, path: root.append_line(path, "ours"),
    "remove": lambda root, path: root.remove(path),
    "mkdir": lambda root, path: root.mkdir(path),
    "symlink": lambda root, path: root.symlink("target", path),
    "chmod": lambda root, path: root.chmod(path, 0o600),
    "chown": lambda root, path: root.chown(path, 0, 0),
    "listdir": lambda root, path: root.listdir(path),
    "below": lambda root, path: root.write(f"{path}/below/it", "ours\n"),
    "stat": lambda root, path: (root.exists(path), root.is_dir(path), root.is_file(path), root.is_symlink(path)),
}
# What replaces whatever stands there is free to do so with a file
REPLACING = ("remove", "symlink")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("trap", traps.ALL + traps.FOLDERS, ids=str)
def test_no_trap_leads_outside(tree: Tree, trap: traps.Trap, action: str) -> None:
    root = tree.root()
    with traps.laid(trap, tree, "/etc/name", replaces=action in REPLACING):
        try:
            ACTIONS[action](root, "/etc/name")
        except (TaskError, FileNotFoundError):
            pass
        except OSError as error:
            assert error.errno == errno.ENAMETOOLONG, error


@pytest.mark.parametrize("action", [name for name in ACTIONS if name not in REPLACING])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_no_trapped_folder_leads_outside(tree: Tree, trap: traps.Trap, action: str) -> None:
    root = tree.root()
    with traps.laid(trap, tree, "/etc/ssh"):
        try:
            ACTIONS[action](root, "/etc/ssh/name")
        except (TaskError, FileNotFoundError):
            pass
