"""Small trees of the distributions that images have, one file each

Not whole systems: the files that tasks look at (os-release, users, hostname, hosts, sshd, the network's configuration,
init's markers), as the distribution's own packages leave them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from helper_kit.fake_tree import Tree

NAMES = ("alpine", "arch", "debian", "devuan", "fedora", "opensuse", "rocky", "ubuntu")


def build(tree: Tree, name: str) -> Tree:
    """Fill `tree` with the system `name`, one of `NAMES`

    Raises:
        ValueError: there is no such system
    """
    if name not in NAMES:
        raise ValueError(f"there is no tree of {name!r}; there are: {', '.join(NAMES)}")
    module: Any = import_module(f"{__name__}.{name}")
    module.build(tree)
    return tree
