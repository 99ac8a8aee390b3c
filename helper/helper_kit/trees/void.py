"""Void with glibc, and with musl"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = {"NAME": "Void", "ID": "void", "PRETTY_NAME": "Void Linux"}
PASSWD = """root:x:0:0:root:/root:/bin/sh
nobody:x:99:99:Unprivileged User:/dev/null:/bin/false
_dhcpcd:x:995:995:_dhcpcd user:/var/db/dhcpcd:/sbin/nologin
"""
SHADOW = "root:*:19800:0:99999:7:::\nnobody:!:19800::::::\n_dhcpcd:!:19800::::::\n"
GROUP = "root:x:0:\nwheel:x:4:root\nnogroup:x:99:\n"
HOSTS = "#\n# /etc/hosts: static lookup table for host names\n#\n127.0.0.1\t\tlocalhost\n::1\t\t\tlocalhost\n"
RC_CONF = '#KEYMAP="es"\n#HARDWARECLOCK="UTC"\n#TIMEZONE="Europe/Madrid"\n#FONT="lat9w-16"\n'
SSHD_CONFIG = "AuthorizedKeysFile\t.ssh/authorized_keys\nKbdInteractiveAuthentication no\nUsePAM yes\n"
LIBXCRYPT = b"\x7fELF...$6$\0$5$\0$y$\0$gy$\0$7$\0"
SERVICES = ("agetty-tty1", "dhcpcd", "sshd", "udevd")


def build(tree: Tree) -> None:
    """glibc"""
    common(tree)
    tree.put("/usr/lib/libcrypt.so.2", LIBXCRYPT)


def musl(tree: Tree) -> None:
    """musl"""
    common(tree)
    tree.put("/usr/lib/ld-musl-x86_64.so.1", base.ELF, mode=0o755)


def common(tree: Tree) -> None:
    """What both have"""
    base.os_release(tree, OS_RELEASE)
    for name, target in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib")):
        tree.folder(f"/{target}")
        tree.link(f"/{name}", target)
    base.users(tree, PASSWD, SHADOW, GROUP)
    tree.put("/etc/hostname", "void-live\n")
    tree.put("/etc/hosts", HOSTS)
    tree.put("/etc/rc.conf", RC_CONF)
    tree.put("/usr/bin/runit-init", base.ELF, mode=0o755)
    tree.link("/usr/bin/init", "runit-init")
    for name in SERVICES:
        tree.put(f"/etc/sv/{name}/run", "#!/bin/sh\n", mode=0o755)
        tree.link(f"/etc/runit/runsvdir/default/{name}", f"/etc/sv/{name}")
    tree.link("/etc/runit/runsvdir/current", "default")
    tree.put("/usr/bin/dhcpcd", base.ELF, mode=0o755)
    tree.put("/etc/dhcpcd.conf", "hostname\nduid\npersistent\noption domain_name_servers\nslaac private\n")
    tree.put("/usr/bin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_CONFIG)
    base.host_keys(tree)
    tree.put("/usr/bin/xbps-install", base.ELF, mode=0o755)
    tree.put("/etc/fstab", "UUID=3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e / ext4 defaults 0 1\n")


VARIANTS = {"musl": musl}
