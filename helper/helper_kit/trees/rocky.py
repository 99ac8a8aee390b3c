"""Rocky Linux 8 to 10, as its cloud images"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, redhat

NICKNAMES = {"8.10": "Green Obsidian", "9.4": "Blue Onyx", "10.0": "Red Quartz"}


def build(tree: Tree) -> None:
    """9: the group for host keys is still there"""
    common(tree, "9.4")
    redhat.ssh_keys(tree)


def common(tree: Tree, version: str) -> None:
    """What all of them have"""
    full = f"{version} ({NICKNAMES[version]})"
    platform = f"platform:el{version.partition('.')[0]}"
    base.os_release(
        tree,
        {
            "NAME": "Rocky Linux",
            "VERSION": full,
            "ID": "rocky",
            "ID_LIKE": "rhel centos fedora",
            "VERSION_ID": version,
            "PLATFORM_ID": platform,
            "PRETTY_NAME": f"Rocky Linux {full}",
        },
    )
    redhat.common(tree, "rocky")
    tree.put("/etc/rocky-release", f"Rocky Linux release {full}\n")
    tree.link("/etc/redhat-release", "rocky-release")
    tree.put("/etc/hostname", "localhost.localdomain\n")
    tree.put("/etc/sysconfig/network", "# Created by anaconda\n")


def rocky8(tree: Tree) -> None:
    """8: ifcfg files, the group for host keys"""
    common(tree, "8.10")
    redhat.network_scripts(tree)
    redhat.ssh_keys(tree)


VARIANTS = {"8": rocky8, "10": lambda tree: common(tree, "10.0")}
