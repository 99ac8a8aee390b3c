"""Arch Linux, as its cloud image: systemd-networkd, no release number"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = {"NAME": "Arch Linux", "PRETTY_NAME": "Arch Linux", "ID": "arch", "BUILD_ID": "rolling"}
PASSWD = """root:x:0:0::/root:/usr/bin/bash
bin:x:1:1::/:/usr/bin/nologin
nobody:x:65534:65534:Kernel Overflow User:/:/usr/bin/nologin
arch:x:1000:1000:arch Cloud User:/home/arch:/usr/bin/bash
"""
SHADOW = "root:*:19900::::::\nbin:!*:19900::::::\nnobody:!*:19900::::::\narch:!:19900:0:99999:7:::\n"
GROUP = "root:x:0:root\nbin:x:1:daemon\nwheel:x:998:arch\nnobody:x:65534:\narch:x:1000:\n"
HOSTS = "# Static table lookup for hostnames.\n# See hosts(5) for details.\n"
SSHD_CONFIG = """# Include drop-in configurations
Include /etc/ssh/sshd_config.d/*.conf

#Port 22
#PermitRootLogin prohibit-password
AuthorizedKeysFile\t.ssh/authorized_keys
Subsystem\tsftp\t/usr/lib/ssh/sftp-server
"""
LIBXCRYPT = b"\x7fELF...$6$\0$5$\0$y$\0$gy$\0$7$\0"


def build(tree: Tree) -> None:
    """All of it; /usr/sbin and /lib64 are links too"""
    base.os_release(tree, OS_RELEASE)
    for name, target in (("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib")):
        tree.folder(f"/{target}")
        tree.link(f"/{name}", target)
    tree.link("/usr/sbin", "bin")
    tree.put("/etc/arch-release")
    base.users(tree, PASSWD, SHADOW, GROUP)
    base.systemd(tree, "sshd", "systemd-networkd", "systemd-resolved")
    tree.put("/etc/hosts", HOSTS)
    tree.put("/usr/lib/libcrypt.so.2.0.0", LIBXCRYPT)
    tree.link("/usr/lib/libcrypt.so.2", "libcrypt.so.2.0.0")
    tree.put("/usr/bin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_CONFIG)
    tree.put("/etc/ssh/sshd_config.d/99-archlinux.conf", "KbdInteractiveAuthentication no\nUsePAM yes\nPrintMotd no\n")
    base.host_keys(tree)
    tree.put("/etc/systemd/network/80-dhcp.network", "[Match]\nName=en*\nName=eth*\n\n[Network]\nDHCP=yes\n")
    tree.put("/etc/pacman.d/mirrorlist", "Server = https://geo.mirror.pkgbuild.com/$repo/os/$arch\n")
