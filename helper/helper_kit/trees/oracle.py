"""Oracle Linux 8"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, redhat

OS_RELEASE = {
    "NAME": "Oracle Linux Server",
    "VERSION": "8.10",
    "ID": "ol",
    "ID_LIKE": "fedora",
    "VARIANT": "Server",
    "VARIANT_ID": "server",
    "VERSION_ID": "8.10",
    "PLATFORM_ID": "platform:el8",
    "PRETTY_NAME": "Oracle Linux Server 8.10",
}


def build(tree: Tree) -> None:
    """All of it; redhat-release speaks of Red Hat's"""
    base.os_release(tree, OS_RELEASE)
    redhat.common(tree, "opc")
    redhat.network_scripts(tree)
    redhat.ssh_keys(tree)
    tree.put("/etc/oracle-release", "Oracle Linux Server release 8.10\n")
    tree.put("/etc/redhat-release", "Red Hat Enterprise Linux release 8.10 (Ootpa)\n")
    tree.put("/etc/hostname", "localhost.localdomain\n")
