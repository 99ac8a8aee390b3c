"""Guix System 1.4: /etc leads into the store, sshd's configuration is there alone"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = 'NAME="Guix System"\nID=guix\nPRETTY_NAME="Guix System"\n'
PASSWD = """root:x:0:0:System administrator:/root:/gnu/store/dddd-bash-5.1.8/bin/bash
nobody:x:65534:65534:Nobody:/nonexistent:/gnu/store/eeee-shadow-4.9/sbin/nologin
"""
SHADOW = "root:!:19700::::::\nnobody:!:19700::::::\n"
GROUP = "root:x:0:\nwheel:x:999:root\nusers:x:998:\n"
SYSTEM = "/gnu/store/aaaa-system"
ETC = "/gnu/store/bbbb-etc"
PROFILE = "/var/guix/profiles/system"


def build(tree: Tree) -> None:
    """All of it"""
    for name, text in {"os-release": OS_RELEASE, "hosts": "127.0.0.1 localhost\n", "fstab": "# not read\n"}.items():
        tree.put(f"{ETC}/{name}", text, mode=0o444)
        tree.link(f"/etc/{name}", f"static/{name}")
    tree.link("/etc/static", ETC)
    tree.link(f"{SYSTEM}/etc", ETC)
    tree.link(f"{PROFILE}-1-link", SYSTEM)
    tree.link(PROFILE, "system-1-link")
    base.users(tree, PASSWD, SHADOW, GROUP)
    tree.put("/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    for kind in ("ecdsa", "ed25519", "rsa"):
        tree.put(f"/etc/ssh/ssh_host_{kind}_key", "old\n", mode=0o600)
        tree.put(f"/etc/ssh/ssh_host_{kind}_key.pub", "old\n")
