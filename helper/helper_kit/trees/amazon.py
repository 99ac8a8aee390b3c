"""Amazon Linux 2023, with networkd, and 2, with network scripts"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, redhat

OS_RELEASE = {
    "NAME": "Amazon Linux",
    "VERSION": "2023",
    "ID": "amzn",
    "ID_LIKE": "fedora",
    "VERSION_ID": "2023",
    "PLATFORM_ID": "platform:al2023",
    "PRETTY_NAME": "Amazon Linux 2023.6.20241010",
}
OS_RELEASE_2 = {
    "NAME": "Amazon Linux",
    "VERSION": "2",
    "ID": "amzn",
    "ID_LIKE": "centos rhel fedora",
    "VERSION_ID": "2",
    "PRETTY_NAME": "Amazon Linux 2",
}


def build(tree: Tree) -> None:
    """2023"""
    base.os_release(tree, OS_RELEASE)
    redhat.users(tree, "ec2-user")
    base.systemd(tree, "sshd", "systemd-networkd", "systemd-resolved")
    redhat.rest(tree)
    redhat.ssh_keys(tree)
    tree.put("/etc/system-release", "Amazon Linux release 2023.6.20241010 (Amazon Linux)\n")
    tree.put("/usr/lib/systemd/network/80-ec2.network", "[Match]\nDriver=ena ixgbevf vif\n\n[Network]\nDHCP=yes\n")
    cloud_init(tree)


def amazon2(tree: Tree) -> None:
    """2: network scripts and a service of that name, older sshd, glibc's own crypt"""
    base.os_release(tree, OS_RELEASE_2)
    redhat.users(tree, "ec2-user")
    base.systemd(tree, "sshd")
    redhat.rest(tree)
    redhat.older_sshd(tree)
    redhat.ssh_keys(tree)
    redhat.network_scripts(tree)
    tree.put("/etc/system-release", "Amazon Linux release 2 (Karoo)\n")
    tree.put("/etc/rc.d/init.d/network", "#! /bin/bash\n# chkconfig: 2345 10 90\n", mode=0o755)
    tree.link("/etc/rc.d/rc3.d/S10network", "../init.d/network")
    tree.put("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=localhost.localdomain\nNOZEROCONF=yes\n")
    tree.put("/etc/sysconfig/clock", 'ZONE="UTC"\nUTC=true\n')
    cloud_init(tree)


def cloud_init(tree: Tree) -> None:
    """Both have it"""
    tree.put("/usr/bin/cloud-init", "#!/usr/bin/python3\n", mode=0o755)
    tree.put("/etc/cloud/cloud.cfg", "users:\n  - default\ndisable_root: true\n")
    tree.folder("/etc/cloud/cloud.cfg.d")


VARIANTS = {"2": amazon2}
