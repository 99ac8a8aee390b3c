"""Fedora CoreOS 40: the tree of its ostree deployment, as inspection hands it to tasks"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, redhat

OS_RELEASE = {
    "NAME": "Fedora Linux",
    "VERSION": "40.20240616.3.0 (CoreOS)",
    "ID": "fedora",
    "VERSION_ID": "40",
    "VARIANT_ID": "coreos",
    "OSTREE_VERSION": "40.20240616.3.0",
    "PRETTY_NAME": "Fedora CoreOS 40.20240616.3.0",
}
PASSWD = "root:x:0:0:root:/root:/bin/bash\ncore:x:1000:1000:CoreOS Admin:/var/home/core:/bin/bash\n"
SHADOW = "root:*:19800:0:99999:7:::\ncore:!!:19800:0:99999:7:::\n"
GROUP = "root:x:0:\nwheel:x:10:core\ncore:x:1000:\n"


def build(tree: Tree) -> None:
    """/root and /home are links into /var; there is no machine ID until the first boot"""
    base.os_release(tree, OS_RELEASE)
    base.merged_usr(tree)
    for name, target in (("/root", "var/roothome"), ("/home", "var/home"), ("/ostree", "sysroot/ostree")):
        tree.link(name, target)
    tree.folder("/var/roothome", mode=0o700)
    tree.folder("/var/home")
    tree.folder("/sysroot")
    base.users(tree, PASSWD, SHADOW, GROUP)
    base.systemd(tree, "sshd", "NetworkManager")
    (tree / "/etc/machine-id").unlink()
    tree.folder("/etc/systemd/system")
    tree.put("/usr/sbin/NetworkManager", base.ELF, mode=0o755)
    tree.folder("/etc/NetworkManager/system-connections")
    redhat.rest(tree)
    for file in (tree / "/etc/ssh").glob("ssh_host_*"):
        file.unlink()
    (tree / "/etc/fstab").unlink()
    tree.put("/usr/lib/systemd/system/ignition-firstboot-complete.service", "[Unit]\n")
