"""Flatcar 3815: /usr, the root that its Ignition sets up at first boot, and nothing below /etc"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = {
    "NAME": "Flatcar Container Linux by Kinvolk",
    "ID": "flatcar",
    "ID_LIKE": "coreos",
    "VERSION": "3815.2.0",
    "VERSION_ID": "3815.2.0",
    "PRETTY_NAME": "Flatcar Container Linux by Kinvolk 3815.2.0 (Oklo)",
}
PASSWD = "root:x:0:0:root:/root:/bin/bash\ncore:x:500:500:Flatcar Admin:/home/core:/bin/bash\n"
SHADOW = "root:*:15887:0:::::\ncore:*:15887:0:::::\n"
GROUP = "root:x:0:root\nwheel:x:10:root,core\nsudo:x:150:core\ncore:x:500:\n"
LIBXCRYPT = b"\x7fELF...$6$\0$5$\0$y$\0$gy$\0$7$\0"


def build(tree: Tree) -> None:
    """As it is once it has booted: accounts are copied to /etc then"""
    base.os_release(tree, OS_RELEASE)
    base.merged_usr(tree)
    base.users(tree, PASSWD, SHADOW, GROUP)
    base.systemd(tree, "systemd-networkd", "systemd-resolved")
    tree.put("/usr/lib/systemd/system/sshd.socket", "[Socket]\nListenStream=22\n")
    tree.link("/usr/lib/systemd/system/sockets.target.wants/sshd.socket", "../sshd.socket")
    (tree / "/etc/machine-id").unlink()
    tree.put("/usr/lib64/libcrypt.so.2.0.0", LIBXCRYPT)
    tree.link("/usr/lib64/libcrypt.so.2", "libcrypt.so.2.0.0")
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/usr/share/ssh/sshd_config", "UsePAM yes\nPermitRootLogin no\nAllowUsers core\n")
    tree.link("/etc/ssh/sshd_config", "../../usr/share/ssh/sshd_config")
    tree.put("/usr/lib/systemd/network/zz-default.network", "[Network]\nDHCP=yes\n")
