"""Small trees of the distributions that images have, one file each

Not whole systems: the files that tasks look at (os-release, users, hostname, hosts, sshd, the network's configuration,
init's markers), as the distribution's own packages leave them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from helper_kit.fake_tree import Tree

NAMES = (
    "alma",
    "alpine",
    "amazon",
    "amazon-2",
    "arch",
    "artix",
    "centos-6",
    "centos-7",
    "coreos",
    "debian",
    "devuan",
    "fedora",
    "flatcar",
    "gentoo",
    "gentoo-systemd",
    "guix",
    "nixos",
    "opensuse",
    "opensuse-tumbleweed",
    "oracle",
    "rocky",
    "rocky-8",
    "rocky-10",
    "slackware",
    "sles",
    "sles-11",
    "ubuntu",
    "void",
    "void-musl",
)
"""A file, or after the hyphen one of its variants."""


def build(tree: Tree, name: str) -> Tree:
    """Fill `tree` with the system `name`, one of `NAMES`

    Raises:
        ValueError: there is no such system
    """
    if name not in NAMES:
        raise ValueError(f"there is no tree of {name!r}; there are: {', '.join(NAMES)}")
    file, _, variant = name.partition("-")
    module: Any = import_module(f"{__name__}.{file}")
    if variant:
        module.VARIANTS[variant](tree)
    else:
        module.build(tree)
    return tree
