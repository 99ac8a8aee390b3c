"""AlmaLinux 9"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, redhat

OS_RELEASE = {
    "NAME": "AlmaLinux",
    "VERSION": "9.4 (Seafoam Ocelot)",
    "ID": "almalinux",
    "ID_LIKE": "rhel centos fedora",
    "VERSION_ID": "9.4",
    "PLATFORM_ID": "platform:el9",
    "PRETTY_NAME": "AlmaLinux 9.4 (Seafoam Ocelot)",
}


def build(tree: Tree) -> None:
    """All of it"""
    base.os_release(tree, OS_RELEASE)
    redhat.common(tree, "almalinux")
    redhat.ssh_keys(tree)
    tree.put("/etc/almalinux-release", "AlmaLinux release 9.4 (Seafoam Ocelot)\n")
    tree.link("/etc/redhat-release", "almalinux-release")
    tree.put("/etc/hostname", "localhost.localdomain\n")
