"""Devuan 5: Debian 12 with sysvinit"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, debian

OS_RELEASE = {
    "PRETTY_NAME": "Devuan GNU/Linux 5 (daedalus)",
    "NAME": "Devuan GNU/Linux",
    "VERSION_ID": "5",
    "VERSION": "5 (daedalus)",
    "VERSION_CODENAME": "daedalus",
    "ID": "devuan",
    "ID_LIKE": "debian",
}
INITTAB = """id:2:initdefault:
si::sysinit:/etc/init.d/rcS
l2:2:wait:/etc/init.d/rc 2
z6:6:respawn:/sbin/sulogin
1:2345:respawn:/sbin/getty --noclear 38400 tty1
#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100
"""


def build(tree: Tree) -> None:
    """All of it"""
    base.os_release(tree, OS_RELEASE)
    debian.common(tree, debian.PASSWD, debian.SHADOW, debian.GROUP)
    tree.put("/etc/devuan_version", "daedalus\n")
    tree.put("/etc/debian_version", "12.0\n")
    tree.put("/etc/hostname", "devuan\n")
    tree.put("/etc/hosts", debian.HOSTS.replace("debian", "devuan"))
    tree.put("/var/lib/dbus/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    tree.put("/usr/sbin/init", base.ELF, mode=0o755)
    tree.put("/etc/inittab", INITTAB)
    debian.ifupdown(tree)
    for name, link in (("networking", "rcS.d/S10networking"), ("ssh", "rc2.d/S02ssh")):
        tree.put(f"/etc/init.d/{name}", "#!/bin/sh\n", mode=0o755)
        tree.link(f"/etc/{link}", f"../init.d/{name}")
