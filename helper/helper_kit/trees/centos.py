"""CentOS 6, with upstart and no os-release, and CentOS 7"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base, redhat

OS_RELEASE = {
    "NAME": "CentOS Linux",
    "VERSION": "7 (Core)",
    "ID": "centos",
    "ID_LIKE": "rhel fedora",
    "VERSION_ID": "7",
    "PRETTY_NAME": "CentOS Linux 7 (Core)",
}
SSHD_6 = "Protocol 2\nSyslogFacility AUTHPRIV\nPasswordAuthentication yes\nUsePAM yes\nX11Forwarding yes\n"
SSHD_SCRIPT = "#!/bin/bash\n#\n# chkconfig: 2345 55 25\n# description: OpenSSH server daemon\n"


def centos7(tree: Tree) -> None:
    """7: systemd, NetworkManager with ifcfg files, glibc's own crypt"""
    base.os_release(tree, OS_RELEASE)
    redhat.common(tree, "centos")
    tree.put("/etc/centos-release", "CentOS Linux release 7.9.2009 (Core)\n")
    tree.link("/etc/redhat-release", "centos-release")
    tree.link("/etc/system-release", "centos-release")
    tree.put("/etc/hostname", "localhost.localdomain\n")
    tree.put("/etc/sysconfig/network", "# Created by anaconda\n")
    redhat.network_scripts(tree)
    redhat.older_sshd(tree)
    redhat.ssh_keys(tree)


def centos6(tree: Tree) -> None:
    """6: upstart and SysV scripts, the hostname in /etc/sysconfig"""
    tree.put("/etc/centos-release", "CentOS release 6.10 (Final)\n")
    tree.link("/etc/redhat-release", "centos-release")
    tree.link("/etc/system-release", "centos-release")
    base.users(tree, *(each.format(user="centos") for each in (redhat.PASSWD, redhat.SHADOW, redhat.GROUP)))
    tree.put("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=localhost.localdomain\nNOZEROCONF=yes\n")
    redhat.network_scripts(tree)
    tree.put("/etc/sysconfig/clock", 'ZONE="America/New_York"\n')
    tree.put("/etc/hosts", redhat.HOSTS)
    tree.put("/sbin/init", base.ELF, mode=0o755)
    tree.put("/etc/init/rc.conf", "start on runlevel [0123456]\nexec /etc/rc.d/rc $RUNLEVEL\n")
    tree.put("/etc/inittab", "id:3:initdefault:\n")
    tree.link("/etc/init.d", "rc.d/init.d")
    for name, link in (("sshd", "S55sshd"), ("network", "S10network")):
        tree.put(f"/etc/rc.d/init.d/{name}", SSHD_SCRIPT.replace("55 25", f"{link[1:3]} 25"), mode=0o755)
        for level in "2345":
            tree.link(f"/etc/rc.d/rc{level}.d/{link}", f"../init.d/{name}")
    tree.put("/lib64/libcrypt.so.1", redhat.GLIBC_CRYPT)
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_6, mode=0o600)
    base.host_keys(tree)
    tree.put("/etc/selinux/config", redhat.SELINUX)
    tree.put("/etc/fstab", "UUID=3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e / ext4 defaults 1 1\n")


VARIANTS = {"6": centos6, "7": centos7}
