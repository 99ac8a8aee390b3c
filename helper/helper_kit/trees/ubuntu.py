"""Ubuntu 24.04 as its cloud image: netplan, cloud-init, ssh by socket"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, debian

OS_RELEASE = {
    "PRETTY_NAME": "Ubuntu 24.04.1 LTS",
    "NAME": "Ubuntu",
    "VERSION_ID": "24.04",
    "VERSION": "24.04.1 LTS (Noble Numbat)",
    "VERSION_CODENAME": "noble",
    "ID": "ubuntu",
    "ID_LIKE": "debian",
    "UBUNTU_CODENAME": "noble",
}
HOSTS = """127.0.0.1 localhost

# The following lines are desirable for IPv6 capable hosts
::1 ip6-localhost ip6-loopback
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
ff02::3 ip6-allhosts
"""


def build(tree: Tree) -> None:
    """All of it"""
    base.os_release(tree, OS_RELEASE)
    passwd, shadow, group = (
        text.replace("Debian", "Ubuntu").replace("debian", "ubuntu")
        for text in (debian.PASSWD, debian.SHADOW, debian.GROUP)
    )
    debian.common(tree, passwd, shadow, group)
    tree.put("/etc/debian_version", "trixie/sid\n")
    tree.put("/etc/hostname", "ubuntu\n")
    tree.put("/etc/hosts", HOSTS)
    base.systemd(tree, "systemd-networkd")
    tree.put("/usr/lib/systemd/system/ssh.socket", "[Socket]\nListenStream=0.0.0.0:22\n")
    tree.link("/etc/systemd/system/sockets.target.wants/ssh.socket", "/usr/lib/systemd/system/ssh.socket")
    tree.put("/usr/sbin/netplan", base.ELF, mode=0o755)
    tree.folder("/etc/netplan")
    tree.put("/usr/bin/cloud-init", "#!/usr/bin/python3\n", mode=0o755)
    tree.put("/etc/cloud/cloud.cfg", "users:\n  - default\ndisable_root: true\n")
    tree.folder("/etc/cloud/cloud.cfg.d")
