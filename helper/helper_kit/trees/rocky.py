"""Rocky Linux 9, as its cloud image"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, redhat

OS_RELEASE = {
    "NAME": "Rocky Linux",
    "VERSION": "9.4 (Blue Onyx)",
    "ID": "rocky",
    "ID_LIKE": "rhel centos fedora",
    "VERSION_ID": "9.4",
    "PLATFORM_ID": "platform:el9",
    "PRETTY_NAME": "Rocky Linux 9.4 (Blue Onyx)",
}


def build(tree: Tree) -> None:
    """All of it"""
    base.os_release(tree, OS_RELEASE)
    redhat.common(tree, "rocky")
    tree.put("/etc/rocky-release", "Rocky Linux release 9.4 (Blue Onyx)\n")
    tree.link("/etc/redhat-release", "rocky-release")
    tree.put("/etc/hostname", "localhost.localdomain\n")
    tree.put("/etc/sysconfig/network", "# Created by anaconda\n")
