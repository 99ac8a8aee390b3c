"""Debian 12 as its installer leaves it: merged /usr, ifupdown, OpenSSH, a user

Contents are those of base-files 12.4, base-passwd 3.6.1, openssh-server 9.2p1, ifupdown 0.8.41 and libcrypt1 4.4.33 (of
which only the strings that are looked for).
"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = {
    "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)",
    "NAME": "Debian GNU/Linux",
    "VERSION_ID": "12",
    "VERSION": "12 (bookworm)",
    "VERSION_CODENAME": "bookworm",
    "ID": "debian",
}
PASSWD = """root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
sync:x:4:65534:sync:/bin:/bin/sync
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
systemd-network:x:998:998:systemd Network Management:/:/usr/sbin/nologin
debian:x:1000:1000:Debian,,,:/home/debian:/bin/bash
"""
SHADOW = """root:*:19600:0:99999:7:::
daemon:*:19600:0:99999:7:::
sync:*:19600:0:99999:7:::
www-data:*:19600:0:99999:7:::
nobody:*:19600:0:99999:7:::
systemd-network:!*:19600:::::1:
debian:!$y$j9T$old$old:19600:3:90:7:14::
"""
GROUP = """root:x:0:
daemon:x:1:
adm:x:4:
www-data:x:33:
shadow:x:42:
nogroup:x:65534:
systemd-network:x:998:
debian:x:1000:
"""
HOSTS = """127.0.0.1\tlocalhost
127.0.1.1\tdebian.example.com\tdebian

# The following lines are desirable for IPv6 capable hosts
::1     localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""
SSHD_CONFIG = """# This is the sshd server system-wide configuration file.  See
# sshd_config(5) for more information.

Include /etc/ssh/sshd_config.d/*.conf

#Port 22
#HostKey /etc/ssh/ssh_host_rsa_key
#PermitRootLogin prohibit-password
#AuthorizedKeysFile\t.ssh/authorized_keys .ssh/authorized_keys2
KbdInteractiveAuthentication no
UsePAM yes
X11Forwarding yes
PrintMotd no
AcceptEnv LANG LC_*
Subsystem\tsftp\t/usr/lib/openssh/sftp-server

# Example of overriding settings on a per-user basis
#Match User anoncvs
#\tX11Forwarding no
"""
INTERFACES = """# This file describes the network interfaces available on your system
# and how to activate them. For more information, see interfaces(5).

source /etc/network/interfaces.d/*

# The loopback network interface
auto lo
iface lo inet loopback

# The primary network interface
allow-hotplug ens3
iface ens3 inet dhcp
# This is an autoconfigured IPv6 interface
iface ens3 inet6 auto
"""
MOTD = """
The programs included with the Debian GNU/Linux system are free software;
the exact distribution terms for each program are described in the
individual files in /usr/share/doc/*/copyright.

Debian GNU/Linux comes with ABSOLUTELY NO WARRANTY, to the extent
permitted by applicable law.
"""
LIBXCRYPT = b"\x7fELF...$6$\0$5$\0$y$\0$gy$\0$7$\0"
GLIBC_CRYPT = b"\x7fELF...$6$\0$5$\0"


def build(tree: Tree) -> None:
    """All of it"""
    base.os_release(tree, OS_RELEASE)
    common(tree, PASSWD, SHADOW, GROUP)
    tree.put("/etc/debian_version", "12.12\n")
    tree.put("/etc/hostname", "debian\n")
    tree.put("/etc/hosts", HOSTS)
    base.systemd(tree, "ssh")
    tree.put("/var/lib/dbus/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    tree.put("/usr/lib/systemd/system/systemd-networkd.service", "[Unit]\n")
    tree.put("/usr/lib/systemd/system/systemd-networkd.socket", "[Unit]\n")
    tree.put("/usr/lib/systemd/system/systemd-networkd-wait-online.service", "[Unit]\n")
    tree.put("/etc/motd", MOTD)
    ifupdown(tree)
    tree.link(
        "/etc/systemd/system/multi-user.target.wants/networking.service", "/lib/systemd/system/networking.service"
    )


def common(tree: Tree, passwd: str, shadow: str, group: str) -> None:
    """What Debian's derivatives have too, whatever init they run"""
    base.merged_usr(tree)
    base.users(tree, passwd, shadow, group)
    tree.put("/usr/lib/x86_64-linux-gnu/libcrypt.so.1.1.0", LIBXCRYPT)
    tree.link("/usr/lib/x86_64-linux-gnu/libcrypt.so.1", "libcrypt.so.1.1.0")
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_CONFIG)
    tree.folder("/etc/ssh/sshd_config.d")
    base.host_keys(tree)
    tree.put("/etc/fstab", "UUID=3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e / ext4 errors=remount-ro 0 1\n")


def ifupdown(tree: Tree) -> None:
    """Debian's ifupdown; init has to start it"""
    tree.put("/usr/sbin/ifup", base.ELF, mode=0o755)
    tree.put("/etc/network/interfaces", INTERFACES)
    tree.folder("/etc/network/interfaces.d")
