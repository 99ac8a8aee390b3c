"""Debian's own packages, unpacked: what facts and trees are held against

Downloaded by the machine's apt, once, into build/packages; their scripts are not run, so what those make of files that
come in the packages is made here.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.helper.support import Tree

CACHE = Path(__file__).resolve().parents[3] / "build" / "packages"
COMMON = ("base-files", "base-passwd", "libcrypt1", "openssh-server", "grub-common", "grub2-common", "console-setup")
SYSTEMS = {
    "systemd": ("systemd", "systemd-sysv", "ifupdown", "netplan.io", "network-manager", "dhcpcd-base"),
    "sysvinit": ("sysvinit-core", "sysv-rc", "initscripts", "ifupdown", "startpar", "libc6", "dash"),
    "openrc": ("sysvinit-core", "openrc", "ifupdown"),
    "runit": ("runit-init", "runit", "ifupdown"),
}
"""Debian with one of the inits that it has."""
COPIES = {
    "/usr/share/base-passwd/passwd.master": "/etc/passwd",
    "/usr/share/base-passwd/group.master": "/etc/group",
    "/usr/share/openssh/sshd_config": "/etc/ssh/sshd_config",
}
"""What the packages' scripts copy."""


def build(tree: Tree, name: str) -> Tree:
    """Fill `tree` with Debian of the machine's own release, `name` of `SYSTEMS`"""
    unpack(tree, (*COMMON, *SYSTEMS[name]))
    for source, target in COPIES.items():
        tree.folder(target.rpartition("/")[0])
        shutil.copyfile(tree / source, tree / target)
    lines = tree.text("/etc/passwd").splitlines()
    tree.put("/etc/passwd", "".join(f"{line}\n" for line in lines).replace(":*:", ":x:"))
    tree.put("/etc/shadow", "".join(f"{line.split(':')[0]}:*:19000:0:99999:7:::\n" for line in lines), mode=0o640)
    return tree


def unpack(tree: Tree, names: Sequence[str]) -> None:
    """What is in these packages, into `tree`"""
    for file in _packages(names):
        subprocess.run(["dpkg-deb", "-x", file, tree.path], check=True)


def _packages(names: Sequence[str]) -> list[Path]:
    """Their files"""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        missing = [name for name in names if not list(CACHE.glob(f"{name}_*.deb"))]
        if missing:
            subprocess.run(["apt-get", "download", "-q", *missing], cwd=CACHE, check=True, capture_output=True)
    return [next(CACHE.glob(f"{name}_*.deb")) for name in names]
