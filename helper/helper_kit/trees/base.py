"""Parts that several systems' trees have in common"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from helper_kit.fake_tree import Tree

ELF = b"\x7fELF"
"""In the place of a program or a library."""
UNIT = "[Unit]\nDescription={}\n\n[Install]\nWantedBy=multi-user.target\n"


def os_release(tree: Tree, fields: Mapping[str, str]) -> None:
    """os-release(5) where its packages put it, and the link to it"""
    tree.put("/usr/lib/os-release", "".join(f'{name}="{value}"\n' for name, value in fields.items()))
    tree.link("/etc/os-release", "../usr/lib/os-release")


def merged_usr(tree: Tree, names: Iterable[str] = ("bin", "sbin", "lib", "lib64")) -> None:
    """/bin and its like as links into /usr"""
    for name in names:
        tree.folder(f"/usr/{name}")
        tree.link(f"/{name}", f"usr/{name}")


def users(tree: Tree, passwd: str, shadow: str, group: str) -> None:
    """The files of users and groups, and a home for everybody who can log in"""
    tree.put("/etc/passwd", passwd)
    tree.put("/etc/shadow", shadow, mode=0o640)
    tree.put("/etc/group", group)
    for line in passwd.splitlines():
        home, shell = line.split(":")[5:]
        if shell.endswith("sh"):
            tree.folder(home, mode=0o700)


def host_keys(tree: Tree) -> None:
    """Keys of an sshd that ran when the image was made"""
    for kind in ("ecdsa", "ed25519", "rsa"):
        tree.put(f"/etc/ssh/ssh_host_{kind}_key", "old\n", mode=0o600)
        tree.put(f"/etc/ssh/ssh_host_{kind}_key.pub", "old\n")


def systemd(tree: Tree, *services: str) -> None:
    """systemd as init, with `services` that are enabled"""
    tree.put("/usr/lib/systemd/systemd", ELF, mode=0o755)
    if (tree / "/sbin").is_symlink():
        tree.link("/usr/sbin/init", "../lib/systemd/systemd")
    else:
        tree.link("/sbin/init", "../usr/lib/systemd/systemd")
    tree.put("/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n", mode=0o444)
    for service in services:
        enabled(tree, service)


def enabled(tree: Tree, service: str) -> None:
    """A service that its package brought and that starts at boot"""
    tree.put(f"/usr/lib/systemd/system/{service}.service", UNIT.format(service))
    tree.link(
        f"/etc/systemd/system/multi-user.target.wants/{service}.service", f"/usr/lib/systemd/system/{service}.service"
    )
