"""What Fedora and its enterprise derivatives have in common: NetworkManager, SELinux, drop-ins for sshd"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

PASSWD = """root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/sbin/nologin
nobody:x:65534:65534:Kernel Overflow User:/:/sbin/nologin
sshd:x:74:74:Privilege-separated SSH:/usr/share/empty.sshd:/sbin/nologin
{user}:x:1000:1000:{user} Cloud User:/home/{user}:/bin/bash
"""
SHADOW = """root:!locked::0:99999:7:::
bin:*:19820:0:99999:7:::
nobody:*:19820:0:99999:7:::
sshd:!*:19900::::::
{user}:!!:19900:0:99999:7:::
"""
GROUP = "root:x:0:\nbin:x:1:\nwheel:x:10:{user}\nnobody:x:65534:\nsshd:x:74:\n{user}:x:1000:\n"
HOSTS = """127.0.0.1   localhost localhost.localdomain localhost4 localhost4.localdomain4
::1         localhost localhost.localdomain localhost6 localhost6.localdomain6
"""
SSHD_CONFIG = """# To modify the system-wide sshd configuration, create a  *.conf  file under
#  /etc/ssh/sshd_config.d/  which will be automatically included below
Include /etc/ssh/sshd_config.d/*.conf

#Port 22
#PermitRootLogin prohibit-password
AuthorizedKeysFile\t.ssh/authorized_keys
Subsystem\tsftp\t/usr/libexec/openssh/sftp-server
"""
SSHD_DROP_IN = """SyslogFacility AUTHPRIV
KbdInteractiveAuthentication no
GSSAPIAuthentication yes
GSSAPICleanupCredentials no
UsePAM yes
X11Forwarding yes
PrintMotd no
"""
LIBXCRYPT = b"\x7fELF...$6$\0$5$\0$y$\0$gy$\0$7$\0"
GLIBC_CRYPT = b"\x7fELF...$6$\0$5$\0"
SELINUX = "SELINUX=enforcing\nSELINUXTYPE=targeted\n"


def common(tree: Tree, user: str) -> None:
    """All but what names the system; `user` is the one whom its cloud images make"""
    users(tree, user)
    base.systemd(tree, "sshd", "NetworkManager")
    tree.put("/usr/sbin/NetworkManager", base.ELF, mode=0o755)
    tree.put("/etc/NetworkManager/NetworkManager.conf", "[main]\n#plugins=keyfile\n\n[logging]\n")
    tree.folder("/etc/NetworkManager/system-connections")
    rest(tree)


def users(tree: Tree, user: str) -> None:
    """Folders and accounts"""
    base.merged_usr(tree)
    base.users(tree, PASSWD.format(user=user), SHADOW.format(user=user), GROUP.format(user=user))
    # 0000 in truth, which without root a test could not read
    (tree / "/etc/shadow").chmod(0o600)


def rest(tree: Tree) -> None:
    """What goes with any network system"""
    tree.put("/etc/hosts", HOSTS)
    tree.put("/usr/lib64/libcrypt.so.2.0.0", LIBXCRYPT)
    tree.link("/usr/lib64/libcrypt.so.2", "libcrypt.so.2.0.0")
    tree.put("/usr/sbin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", SSHD_CONFIG, mode=0o600)
    tree.put("/etc/ssh/sshd_config.d/50-redhat.conf", SSHD_DROP_IN, mode=0o600)
    base.host_keys(tree)
    tree.put("/etc/selinux/config", SELINUX)
    tree.put("/etc/fstab", "UUID=3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e / xfs defaults 0 0\n")


def older_sshd(tree: Tree) -> None:
    """sshd before it had drop-ins (release 8), and glibc's own crypt (release 7)"""
    (tree / "/etc/ssh/sshd_config.d/50-redhat.conf").unlink()
    (tree / "/etc/ssh/sshd_config.d").rmdir()
    keys = "".join(f"HostKey /etc/ssh/ssh_host_{kind}_key\n" for kind in ("rsa", "ecdsa", "ed25519"))
    config = SSHD_CONFIG.replace("Include /etc/ssh/sshd_config.d/*.conf\n", keys)
    tree.put("/etc/ssh/sshd_config", f"{config}{SSHD_DROP_IN}", mode=0o600)
    (tree / "/usr/lib64/libcrypt.so.2").unlink()
    (tree / "/usr/lib64/libcrypt.so.2.0.0").unlink()
    tree.put("/usr/lib64/libcrypt.so.1", GLIBC_CRYPT)


def ssh_keys(tree: Tree) -> None:
    """The group that may read host keys, until release 9"""
    group = tree.text("/etc/group")
    tree.put("/etc/group", group.replace("nobody:", "ssh_keys:x:999:\nnobody:"))


def network_scripts(tree: Tree) -> None:
    """A file of the older form, which NetworkManager reads too until release 8"""
    tree.put(
        "/etc/sysconfig/network-scripts/ifcfg-eth0",
        "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\nTYPE=Ethernet\nUSERCTL=no\n",
    )
    tree.put("/etc/sysconfig/network-scripts/ifcfg-lo", "DEVICE=lo\nIPADDR=127.0.0.1\nONBOOT=yes\n")
