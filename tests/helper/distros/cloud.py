"""What an image's cloud-init package leaves, for tests on any tree"""

from __future__ import annotations

from helper_kit.testing import Tree

SYSTEM = "system_info:\n   distro: any\n   default_user:\n     name: debian\n     lock_passwd: True\n"
OLD = "11111111-old-instance"


def install(tree: Tree, python: str = "/usr/bin/python3") -> Tree:
    """cloud-init on `tree`, with what an instance has left in the image"""
    tree.put("/usr/bin/cloud-init", f"#!{python}\n# EASY-INSTALL-ENTRY-SCRIPT\n", mode=0o755)
    tree.put("/etc/cloud/cloud.cfg", f"users:\n   - default\n{SYSTEM}")
    tree.put("/etc/cloud/cloud.cfg.d/05_logging.cfg", "_log: []\n")
    if (tree / "/etc/alpine-release").exists():
        tree.link("/etc/runlevels/boot/cloud-init-local", "/etc/init.d/cloud-init-local")
    elif (tree / "/etc/init.d").exists() and not (tree / "/etc/systemd").exists():
        tree.link("/etc/rcS.d/S20cloud-init-local", "../init.d/cloud-init-local")
    else:
        tree.put("/usr/lib/systemd/system-generators/cloud-init-generator", "#!/bin/sh\n", mode=0o755)
    tree.put(f"/var/lib/cloud/instances/{OLD}/obj.pkl", "old")
    tree.link("/var/lib/cloud/instance", f"/var/lib/cloud/instances/{OLD}")
    tree.put("/var/lib/cloud/data/instance-id", f"{OLD}\n")
    tree.put("/var/lib/cloud/seed/nocloud-net/user-data", "#!/bin/sh\necho of the image's author\n")
    tree.put("/var/log/cloud-init.log", "old\n")
    return tree
