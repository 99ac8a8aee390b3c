"""Gentoo from a stage 3, with OpenRC or with systemd"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = {"NAME": "Gentoo", "ID": "gentoo", "PRETTY_NAME": "Gentoo Linux", "VERSION_ID": "2.15"}
PASSWD = """root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/bin/false
sshd:x:22:22:added by portage for openssh:/var/empty:/sbin/nologin
nobody:x:65534:65534:nobody:/var/empty:/bin/false
"""
SHADOW = "root:*:10770:0:::::\nbin:*:9797:0:::::\nsshd:!:19800::::::\nnobody:*:9797:0:::::\n"
GROUP = "root:x:0:root\nwheel:x:10:root\nsshd:x:22:\nnobody:x:65534:\n"
HOSTS = "# /etc/hosts: Local Host Database\n127.0.0.1\tlocalhost\n::1\t\tlocalhost\n"
INITTAB = """id:3:initdefault:
si::sysinit:/sbin/openrc sysinit
rc::bootwait:/sbin/openrc boot
l3:3:wait:/sbin/openrc default
c1:12345:respawn:/sbin/agetty --noclear 38400 tty1 linux
"""
SSHD_CONFIG = 'AuthorizedKeysFile\t.ssh/authorized_keys\nInclude "/etc/ssh/sshd_config.d/*.conf"\n'
LIBXCRYPT = b"\x7fELF...$6$\0$5$\0$y$\0$gy$\0$7$\0"
SERVICES = {"boot": ("hostname", "keymaps"), "default": ("netmount", "sshd", "net.eth0")}


def build(tree: Tree) -> None:
    """With OpenRC and netifrc"""
    common(tree)
    tree.put("/sbin/init", base.ELF, mode=0o755)
    tree.put("/sbin/openrc", base.ELF, mode=0o755)
    tree.put("/etc/inittab", INITTAB)
    tree.put("/etc/conf.d/hostname", '# Set to the hostname of this machine\nhostname="localhost"\n')
    tree.put("/etc/conf.d/keymaps", 'keymap="us"\n')
    tree.put("/etc/conf.d/net", 'config_eth0="dhcp"\n')
    tree.put("/lib/netifrc/net/iproute2.sh", "#\n")
    tree.put("/etc/init.d/net.lo", "#!/sbin/openrc-run\n", mode=0o755)
    tree.link("/etc/init.d/net.eth0", "net.lo")
    for runlevel, names in SERVICES.items():
        for name in names:
            if name != "net.eth0":
                tree.put(f"/etc/init.d/{name}", "#!/sbin/openrc-run\n", mode=0o755)
            tree.link(f"/etc/runlevels/{runlevel}/{name}", f"/etc/init.d/{name}")


def systemd(tree: Tree) -> None:
    """With systemd and networkd"""
    common(tree)
    base.systemd(tree, "sshd", "systemd-networkd")
    tree.put("/etc/hostname", "localhost\n")


def common(tree: Tree) -> None:
    """What any profile has"""
    base.os_release(tree, OS_RELEASE)
    tree.put("/etc/gentoo-release", "Gentoo Base System release 2.15\n")
    base.users(tree, PASSWD, SHADOW, GROUP)
    tree.put("/etc/hosts", HOSTS)
    tree.put("/etc/timezone", "UTC\n")
    tree.put("/usr/lib64/libcrypt.so.2.0.0", LIBXCRYPT)
    tree.link("/usr/lib64/libcrypt.so.2", "libcrypt.so.2.0.0")
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_CONFIG)
    tree.put("/etc/ssh/sshd_config.d/9999999gentoo.conf", "PasswordAuthentication no\nUsePAM yes\n")
    base.host_keys(tree)
    tree.put("/etc/fstab", "UUID=3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e / ext4 noatime 0 1\n")


VARIANTS = {"systemd": systemd}
