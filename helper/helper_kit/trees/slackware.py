"""Slackware 15.0"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = {
    "NAME": "Slackware",
    "VERSION": "15.0",
    "ID": "slackware",
    "VERSION_ID": "15.0",
    "PRETTY_NAME": "Slackware 15.0 x86_64",
}
PASSWD = """root:x:0:0::/root:/bin/bash
bin:x:1:1:bin:/bin:/bin/false
sshd:x:33:33:sshd:/:/bin/false
nobody:x:99:99:nobody:/:/bin/false
"""
SHADOW = "root::19000:0:::::\nbin:*:9797:0:::::\nsshd:*:9797:0:::::\nnobody:*:9797:0:::::\n"
GROUP = "root:x:0:root\nwheel:x:10:root\nsshd:x:33:sshd\nnobody:x:98:nobody\n"
HOSTS = """# hosts         This file describes a number of hostname-to-address
127.0.0.1\t\tlocalhost
127.0.0.1\t\tdarkstar.example.net darkstar
"""
INET1 = """IFNAME[0]="eth0"
IPADDRS[0]=""
USE_DHCP[0]="yes"

IFNAME[1]=""
IPADDRS[1]=""
USE_DHCP[1]=""

GATEWAY=""
DEBUG_ETH_UP="no"
"""
SSHD_CONFIG = "AuthorizedKeysFile\t.ssh/authorized_keys\nUsePAM yes\nSubsystem\tsftp\t/usr/libexec/sftp-server\n"
GLIBC_CRYPT = b"\x7fELF...$6$\0$5$\0"


def build(tree: Tree) -> None:
    """All of it"""
    base.os_release(tree, OS_RELEASE)
    tree.put("/etc/slackware-version", "Slackware 15.0\n")
    base.users(tree, PASSWD, SHADOW, GROUP)
    tree.put("/etc/HOSTNAME", "darkstar.example.net\n")
    tree.put("/etc/hosts", HOSTS)
    tree.put("/sbin/init", base.ELF, mode=0o755)
    tree.put("/etc/inittab", "id:3:initdefault:\nsi:S:sysinit:/etc/rc.d/rc.S\nrc:2345:wait:/etc/rc.d/rc.M\n")
    for name in ("S", "M", "inet1", "sshd", "local"):
        tree.put(f"/etc/rc.d/rc.{name}", "#!/bin/bash\n", mode=0o755)
    tree.put("/etc/rc.d/rc.networkmanager", "#!/bin/sh\n")
    tree.put("/etc/rc.d/rc.inet1.conf", INET1, mode=0o600)
    tree.put("/etc/profile.d/lang.sh", "#!/bin/sh\nexport LANG=en_US.UTF-8\nexport LC_COLLATE=C\n", mode=0o755)
    tree.put("/lib64/libcrypt.so.1", GLIBC_CRYPT)
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_CONFIG)
    base.host_keys(tree)
    tree.put("/var/lib/dbus/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    tree.put("/etc/fstab", "/dev/vda1 / ext4 defaults 1 1\n")
