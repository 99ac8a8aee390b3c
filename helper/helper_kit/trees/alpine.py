"""Alpine 3.20 as setup-alpine leaves it: OpenRC, BusyBox, musl, its own ifupdown"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = {"NAME": "Alpine Linux", "ID": "alpine", "VERSION_ID": "3.20.3", "PRETTY_NAME": "Alpine Linux v3.20"}
PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:2:2:daemon:/sbin:/sbin/nologin
sync:x:5:0:sync:/sbin:/bin/sync
sshd:x:22:22:sshd:/dev/null:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
"""
SHADOW = """root:*::0:::::
daemon:!::0:::::
sync:!::0:::::
sshd:!::0:::::
nobody:!::0:::::
"""
GROUP = """root:x:0:root
daemon:x:2:root,daemon
shadow:x:42:
sshd:x:22:
nobody:x:65534:
"""
HOSTS = "127.0.0.1\tlocalhost.localdomain localhost\n::1\t\tlocalhost localhost.localdomain\n"
REPOSITORIES = """#/media/cdrom/apks
https://dl-cdn.alpinelinux.org/alpine/v3.20/main
#https://dl-cdn.alpinelinux.org/alpine/v3.20/community
"""
INITTAB = """# /etc/inittab

::sysinit:/sbin/openrc sysinit
::sysinit:/sbin/openrc boot
::wait:/sbin/openrc default

# Set up a couple of getty's
tty1::respawn:/sbin/getty 38400 tty1
tty2::respawn:/sbin/getty 38400 tty2

# Put a getty on the serial port
#ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100

# Stuff to do for the 3-finger salute
::ctrlaltdel:/sbin/reboot

# Stuff to do before rebooting
::shutdown:/sbin/openrc shutdown
"""
INTERFACES = "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n"
SSHD_CONFIG = """# This is the sshd server system-wide configuration file.  See
# sshd_config(5) for more information.

Include /etc/ssh/sshd_config.d/*.conf

#Port 22
#PermitRootLogin prohibit-password
AuthorizedKeysFile\t.ssh/authorized_keys
#PasswordAuthentication yes
AllowTcpForwarding no
GatewayPorts no
X11Forwarding no
Subsystem\tsftp\tinternal-sftp
"""
SERVICES = {"boot": ("hostname", "networking", "syslog"), "default": ("acpid", "sshd"), "sysinit": ("devfs", "dmesg")}
"""Runlevel -> what is started in it."""
IDLE = ("chronyd", "crond", "local")
"""Services that are installed and not started."""


def build(tree: Tree) -> None:
    """All of it"""
    base.os_release(tree, OS_RELEASE)
    tree.put("/etc/alpine-release", "3.20.3\n")
    base.users(tree, PASSWD, SHADOW, GROUP)
    tree.put("/etc/hostname", "localhost\n")
    tree.put("/etc/hosts", HOSTS)
    tree.put("/bin/busybox", base.ELF, mode=0o755)
    tree.link("/bin/sh", "/bin/busybox")
    tree.link("/sbin/init", "/bin/busybox")
    tree.put("/lib/ld-musl-x86_64.so.1", base.ELF, mode=0o755)
    tree.put("/etc/apk/repositories", REPOSITORIES)
    tree.put("/etc/apk/world", "alpine-base\nopenssh\n")
    tree.put("/etc/inittab", INITTAB)
    tree.put("/sbin/ifup", base.ELF, mode=0o755)
    tree.put("/etc/network/interfaces", INTERFACES)
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_CONFIG)
    tree.folder("/etc/ssh/sshd_config.d")
    base.host_keys(tree)
    for name in IDLE:
        tree.put(f"/etc/init.d/{name}", "#!/sbin/openrc-run\n", mode=0o755)
    for runlevel, names in SERVICES.items():
        for name in names:
            tree.put(f"/etc/init.d/{name}", "#!/sbin/openrc-run\n", mode=0o755)
            tree.link(f"/etc/runlevels/{runlevel}/{name}", f"/etc/init.d/{name}")
