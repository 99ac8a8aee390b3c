"""SUSE Linux Enterprise Server: 15 as Leap, 11 with SysV init"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, opensuse

OS_RELEASE = {
    "NAME": "SLES",
    "VERSION": "15-SP6",
    "VERSION_ID": "15.6",
    "PRETTY_NAME": "SUSE Linux Enterprise Server 15 SP6",
    "ID": "sles",
    "ID_LIKE": "suse",
}
SUSE_RELEASE = "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\nPATCHLEVEL = 4\n"
INITTAB = "id:3:initdefault:\nsi::bootwait:/etc/init.d/boot\nl3:3:wait:/etc/init.d/rc 3\n"
GLIBC_CRYPT = b"\x7fELF...$6$\0$5$\0"


def build(tree: Tree) -> None:
    """15 SP6"""
    base.os_release(tree, OS_RELEASE)
    opensuse.common(tree)
    opensuse.wicked(tree)


def sles11(tree: Tree) -> None:
    """11 SP4: no os-release, no systemd, the hostname in another file"""
    tree.put("/etc/SuSE-release", SUSE_RELEASE)
    base.users(tree, opensuse.PASSWD, opensuse.SHADOW, opensuse.GROUP)
    tree.put("/etc/HOSTNAME", "linux-abcd.site\n")
    tree.put("/etc/hosts", opensuse.HOSTS + "127.0.0.2       linux-abcd.site linux-abcd\n")
    tree.put("/lib64/libcrypt.so.1", GLIBC_CRYPT)
    tree.put("/sbin/init", base.ELF, mode=0o755)
    tree.put("/etc/inittab", INITTAB)
    tree.put("/etc/init.d/sshd", "#! /bin/sh\n# Default-Start: 3 5\n", mode=0o755)
    tree.link("/etc/init.d/rc3.d/S12sshd", "../sshd")
    tree.link("/etc/rc.d", "init.d")
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", "PasswordAuthentication no\nUsePAM yes\n", mode=0o640)
    base.host_keys(tree)
    tree.put("/etc/sysconfig/network/config", 'NETCONFIG_DNS_STATIC_SERVERS=""\n')
    tree.put("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n")
    tree.put("/etc/sysconfig/clock", 'HWCLOCK="-u"\nTIMEZONE="Europe/Berlin"\n')
    tree.put("/etc/fstab", "/dev/sda2 / ext3 acl,user_xattr 1 1\n")


VARIANTS = {"11": sles11}
