"""NixOS 24.05, booted once: nearly all of /etc leads into the store"""

from __future__ import annotations

from helper_kit.fake_tree import Tree
from helper_kit.trees import base

OS_RELEASE = 'ID=nixos\nNAME=NixOS\nPRETTY_NAME="NixOS 24.05 (Uakari)"\nVERSION_ID="24.05"\n'
PASSWD = """root:x:0:0:System administrator:/root:/run/current-system/sw/bin/bash
nobody:x:65534:65534:Unprivileged account:/var/empty:/run/current-system/sw/bin/nologin
admin:x:1000:100::/home/admin:/run/current-system/sw/bin/bash
"""
SHADOW = "root:!:1::::::\nnobody:!:1::::::\nadmin:!:1::::::\n"
GROUP = "root:x:0:\nwheel:x:1:admin\nusers:x:100:\nnogroup:x:65534:\n"
SSHD_CONFIG = """AuthorizedKeysFile %h/.ssh/authorized_keys /etc/ssh/authorized_keys.d/%u
HostKey /etc/ssh/ssh_host_rsa_key
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
UsePAM yes
"""
DESCRIBED = {
    "os-release": OS_RELEASE,
    "hostname": "nixos\n",
    "hosts": "127.0.0.1 localhost\n127.0.0.2 nixos\n",
    "ssh/sshd_config": SSHD_CONFIG,
    "fstab": "/dev/vda1 / ext4 x-initrd.mount 0 1\n",
}
"""What its configuration speaks of: name below /etc -> text."""
SYSTEM = "/nix/store/aaaa-nixos-system-nixos-24.05"
ETC = "/nix/store/bbbb-etc/etc"
USERS = "/nix/store/cccc-users-groups.json"
PROFILE = "/nix/var/nix/profiles/system"


def build(tree: Tree) -> None:
    """mutableUsers is true, the default"""
    for name, text in DESCRIBED.items():
        tree.put(f"{ETC}/{name}", text, mode=0o444)
        tree.link(f"/etc/{name}", f"/etc/static/{name}")
    tree.link("/etc/static", ETC)
    tree.link(f"{SYSTEM}/etc", ETC)
    tree.put(f"{SYSTEM}/activate", f"#!/bin/sh\nperl update-users-groups.pl {USERS}\n", mode=0o555)
    tree.put(USERS, '{"groups":[],"mutableUsers":true,"users":[]}', mode=0o444)
    tree.link(f"{PROFILE}-1-link", SYSTEM)
    tree.link(PROFILE, "system-1-link")
    tree.put("/etc/NIXOS")
    base.users(tree, PASSWD, SHADOW, GROUP)
    tree.put("/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n", mode=0o444)
    for kind in ("rsa", "ed25519"):
        tree.put(f"/etc/ssh/ssh_host_{kind}_key", "old\n", mode=0o600)
        tree.put(f"/etc/ssh/ssh_host_{kind}_key.pub", "old\n")
