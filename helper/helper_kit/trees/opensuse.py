"""openSUSE Leap 15.6 with wicked, Tumbleweed with NetworkManager and packages' files in /usr/etc"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = {
    "NAME": "openSUSE Leap",
    "VERSION": "15.6",
    "ID": "opensuse-leap",
    "ID_LIKE": "suse opensuse",
    "VERSION_ID": "15.6",
    "PRETTY_NAME": "openSUSE Leap 15.6",
}
PASSWD = """root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:nobody:/var/lib/nobody:/bin/false
sshd:x:490:489:SSH daemon:/var/lib/sshd:/bin/false
"""
SHADOW = "root:*:19700::::::\nnobody:!:19700::::::\nsshd:!:19700::::::\n"
GROUP = "root:x:0:\nshadow:x:15:\nsshd:x:489:\nnobody:x:65534:\n"
HOSTS = """#
# hosts         This file describes a number of hostname-to-address
#               mappings for the TCP/IP subsystem.

127.0.0.1       localhost
::1             localhost ipv6-localhost ipv6-loopback
"""
SSHD_CONFIG = """# This is the sshd server system-wide configuration file.  See
# sshd_config(5) for more information.

Include /etc/ssh/sshd_config.d/*.conf

#Port 22
#PermitRootLogin prohibit-password
AuthorizedKeysFile\t.ssh/authorized_keys
UsePAM yes
X11Forwarding yes
Subsystem\tsftp\t/usr/lib/ssh/sftp-server
"""
LIBXCRYPT = b"\x7fELF...$6$\0$5$\0$y$\0$gy$\0$7$\0"


TUMBLEWEED = {
    "NAME": "openSUSE Tumbleweed",
    "ID": "opensuse-tumbleweed",
    "ID_LIKE": "opensuse suse",
    "VERSION_ID": "20240612",
    "PRETTY_NAME": "openSUSE Tumbleweed",
}
SSHD_INCLUDES = "Include /etc/ssh/sshd_config.d/*.conf\nInclude /usr/etc/ssh/sshd_config.d/*.conf\n"


def build(tree: Tree) -> None:
    """Leap"""
    base.os_release(tree, OS_RELEASE)
    common(tree)
    wicked(tree)


def common(tree: Tree) -> None:
    """What SUSE Linux Enterprise has too"""
    base.users(tree, PASSWD, SHADOW, GROUP)
    base.systemd(tree, "sshd")
    tree.put("/etc/hostname", "localhost\n")
    tree.link("/etc/HOSTNAME", "hostname")
    tree.put("/etc/hosts", HOSTS)
    tree.put("/usr/lib64/libcrypt.so.1.1.0", LIBXCRYPT)
    tree.link("/usr/lib64/libcrypt.so.1", "libcrypt.so.1.1.0")
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_CONFIG, mode=0o640)
    tree.folder("/etc/ssh/sshd_config.d")
    base.host_keys(tree)
    tree.put("/etc/fstab", "UUID=3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e / btrfs defaults 0 0\n")


def wicked(tree: Tree) -> None:
    """wicked and its files"""
    base.enabled(tree, "wicked")
    tree.put("/usr/sbin/wicked", base.ELF, mode=0o755)
    tree.put("/etc/sysconfig/network/config", 'NETCONFIG_DNS_STATIC_SEARCHLIST=""\nNETCONFIG_DNS_STATIC_SERVERS=""\n')
    tree.put("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n", mode=0o600)


def tumbleweed(tree: Tree) -> None:
    """sshd_config is the package's, until somebody makes one in /etc"""
    base.os_release(tree, TUMBLEWEED)
    base.merged_usr(tree)
    common(tree)
    (tree / "/etc/ssh/sshd_config").unlink()
    (tree / "/etc/HOSTNAME").unlink()
    text = SSHD_CONFIG.replace("Include /etc/ssh/sshd_config.d/*.conf\n", SSHD_INCLUDES)
    tree.put("/usr/etc/ssh/sshd_config", text, mode=0o640)
    base.enabled(tree, "NetworkManager")
    tree.put("/usr/sbin/NetworkManager", base.ELF, mode=0o755)
    tree.folder("/etc/NetworkManager/system-connections")


VARIANTS = {"tumbleweed": tumbleweed}
