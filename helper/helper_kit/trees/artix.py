"""Artix with OpenRC"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import arch, base

OS_RELEASE = {
    "NAME": "Artix Linux",
    "PRETTY_NAME": "Artix Linux",
    "ID": "artix",
    "ID_LIKE": "arch",
    "BUILD_ID": "rolling",
}
SERVICES = {"boot": ("hostname",), "default": ("sshd", "NetworkManager")}


def build(tree: Tree) -> None:
    """All of it"""
    base.os_release(tree, OS_RELEASE)
    base.merged_usr(tree, ("lib", "lib64"))
    tree.folder("/usr/bin")
    tree.link("/bin", "usr/bin")
    tree.link("/sbin", "usr/bin")
    base.users(tree, arch.PASSWD, arch.SHADOW, arch.GROUP)
    tree.put("/etc/hosts", arch.HOSTS)
    tree.put("/usr/bin/openrc-init", base.ELF, mode=0o755)
    tree.link("/usr/bin/init", "openrc-init")
    tree.put("/etc/conf.d/hostname", 'hostname="localhost"\n')
    tree.put("/etc/hostname", "artix\n")
    tree.put("/usr/lib/libcrypt.so.2", arch.LIBXCRYPT)
    tree.put("/usr/bin/sshd", base.ELF, mode=0o755)
    tree.put("/etc/ssh/sshd_config", arch.SSHD_CONFIG)
    base.host_keys(tree)
    tree.put("/usr/bin/NetworkManager", base.ELF, mode=0o755)
    tree.folder("/etc/NetworkManager/system-connections")
    for runlevel, names in SERVICES.items():
        for name in names:
            tree.put(f"/etc/init.d/{name}", "#!/usr/bin/openrc-run\n", mode=0o755)
            tree.link(f"/etc/runlevels/{runlevel}/{name}", f"/etc/init.d/{name}")
