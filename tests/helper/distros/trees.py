"""Debian 12 of the authors' kit, and how its network may be configured otherwise"""

from __future__ import annotations

from helper_agent.distros import base
from helper_kit import trees
from helper_kit.fake_tree import Tree
from helper_kit.trees.debian import (
    GLIBC_CRYPT,
    HOSTS,
    INTERFACES,
    LIBXCRYPT,
    OS_RELEASE,
    PASSWD,
    SHADOW,
    SSHD_CONFIG,
    ifupdown,
)

__all__ = [
    "GLIBC_CRYPT",
    "HOSTS",
    "INTERFACES",
    "LIBXCRYPT",
    "OS_RELEASE",
    "PASSWD",
    "SHADOW",
    "SSHD_CONFIG",
    "ifupdown",
]

NETWORKING = "/etc/systemd/system/multi-user.target.wants/networking.service"


def debian12(tree: Tree) -> Tree:
    """Debian 12 as its installer leaves it: merged /usr, ifupdown, OpenSSH, a user"""
    return trees.build(tree, "debian")


def networkd(tree: Tree) -> None:
    """systemd-networkd, enabled, with a file of the image for every Ethernet interface; ifupdown not installed"""
    (tree / "/usr/sbin/ifup").unlink()
    (tree / NETWORKING).unlink()
    tree.link(
        "/etc/systemd/system/multi-user.target.wants/systemd-networkd.service",
        "/lib/systemd/system/systemd-networkd.service",
    )
    tree.put("/etc/systemd/network/10-all.network", "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n")


def distro(tree: Tree) -> base.Distro:
    """What `detect` makes of the tree that `debian12` made"""
    return base.detect(OS_RELEASE, tree.root())


def ifupdown_again(tree: Tree) -> None:
    """ifupdown enabled beside networkd"""
    ifupdown(tree)
    tree.link(NETWORKING, "/lib/systemd/system/networking.service")
