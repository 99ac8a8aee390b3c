"""Fedora 40, as its cloud image"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, redhat

OS_RELEASE = {
    "NAME": "Fedora Linux",
    "VERSION": "40 (Cloud Edition)",
    "ID": "fedora",
    "VERSION_ID": "40",
    "PRETTY_NAME": "Fedora Linux 40 (Cloud Edition)",
    "VARIANT_ID": "cloud",
}


def build(tree: Tree) -> None:
    """All of it; there is no /etc/hostname, the system calls itself fedora until it gets one"""
    base.os_release(tree, OS_RELEASE)
    redhat.common(tree, "fedora")
    tree.put("/usr/lib/fedora-release", "Fedora release 40 (Forty)\n")
    tree.link("/etc/fedora-release", "../usr/lib/fedora-release")
    tree.link("/etc/redhat-release", "fedora-release")
