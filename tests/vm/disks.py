"""Small disk images for the matrix of partition tables and filesystems, each with a minimal Debian in it

    image = disks.build(tmp_path / "disk.img", "gpt-esp", "ext4")

Made with the filesystems' own tools, on files; only btrfs' subvolumes need a mount, and so root. The system in it is
enough for every task, not for booting.
"""

from __future__ import annotations

import os
import stat
import subprocess
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.helper.distros import trees
from tests.helper.support import Tree
from tests.vm import stacks

MIB = 1024 * 1024
LAYOUTS = ("msdos-primary", "msdos-logical", "gpt", "gpt-esp", "none")
VOLUMES = ("gpt-lvm", "msdos-logical-lvm", "gpt-luks", "gpt-luks1", "gpt-luks-lvm", "gpt-lvm-luks")
"""Those with LVM or LUKS around the root; see stacks.py."""
FILESYSTEMS = ("ext4", "xfs", "btrfs")
SIZES = {"ext4": 64, "ext3": 64, "ext2": 64, "xfs": 300, "btrfs": 128, "vfat": 16, "swap": 16}
"""MiB: little more than what mkfs accepts."""
ESP, LINUX, LINUX_SWAP, BIOS_BOOT = (
    "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
    "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
    "21686148-6449-6E6F-744E-656564454649",
)


class Part(NamedTuple):
    """One partition: `offset` and `size` in bytes, where the tree has it mounted, and what it holds"""

    number: int
    offset: int
    size: int
    path: str
    filesystem: str
    uuid: str
    wrap: tuple[str, ...] = ()
    """Volumes around the filesystem, the outermost first."""


class Image(NamedTuple):
    """A disk image that `build` made"""

    path: Path
    layout: str
    filesystem: str
    parts: tuple[Part, ...]

    @property
    def root(self) -> Part:
        """Where / is"""
        return next(part for part in self.parts if part.path == "/")


class _Plan(NamedTuple):
    """A partition to be: number, type, MiB (0: `SIZES`), mount point, filesystem ("" for the image's)"""

    number: int
    type: str
    size: int
    path: str
    filesystem: str
    wrap: tuple[str, ...] = ()


_BOOT = (_Plan(1, ESP, 16, "/boot/efi", "vfat"), _Plan(2, LINUX, 16, "/boot", "ext2"))
_PLANS: dict[str, tuple[_Plan, ...]] = {
    "msdos-primary": (_Plan(1, "83", 0, "/", ""),),
    "msdos-logical": (
        _Plan(1, "83", 16, "/boot", "ext2"),
        _Plan(2, "5", 0, "", "extended"),
        _Plan(5, "83", 0, "/", ""),
    ),
    "gpt": (_Plan(1, BIOS_BOOT, 1, "", "none"), _Plan(2, LINUX, 0, "/", "")),
    "gpt-esp": (
        _Plan(1, ESP, 16, "/boot/efi", "vfat"),
        _Plan(2, LINUX, 16, "/boot", "ext2"),
        _Plan(3, LINUX, 0, "/", ""),
    ),
    "none": (_Plan(0, "", 0, "/", ""),),
    "gpt-lvm": (*_BOOT, _Plan(3, LINUX, 0, "/", "", ("lvm",))),
    "msdos-logical-lvm": (
        _Plan(1, "83", 16, "/boot", "ext2"),
        _Plan(2, "5", 0, "", "extended", ("lvm",)),
        _Plan(5, "8e", 0, "/", "", ("lvm",)),
    ),
    "gpt-luks": (*_BOOT, _Plan(3, LINUX, 0, "/", "", ("luks",))),
    "gpt-luks1": (*_BOOT, _Plan(3, LINUX, 0, "/", "", ("luks1",))),
    "gpt-luks-lvm": (*_BOOT, _Plan(3, LINUX, 0, "/", "", ("luks", "lvm"))),
    "gpt-lvm-luks": (*_BOOT, _Plan(3, LINUX, 0, "/", "", ("lvm", "luks"))),
    "gpt-swap": (*_BOOT, _Plan(3, LINUX, 0, "/", ""), _Plan(4, LINUX_SWAP, 0, "", "swap")),
    "msdos-swap": (_Plan(1, "83", 0, "/", ""), _Plan(2, "82", 0, "", "swap")),
    "msdos-swap-in-extended": (
        _Plan(1, "83", 0, "/", ""),
        _Plan(2, "5", 17, "", "extended"),
        _Plan(5, "82", 0, "", "swap"),
    ),
    "gpt-data": (_Plan(1, LINUX, 0, "/", ""), _Plan(2, LINUX, 0, "/srv", "")),
}


def build(
    path: Path,
    layout: str,
    filesystem: str,
    *,
    disk_mib: int = 0,
    fill: Callable[[Tree], object] = trees.debian12,
    root_mib: int = 0,
    mkfs: Sequence[str] = (),
) -> Image:
    """A disk image at `path`

    Args:
        disk_mib: the disk the image was put onto, larger than the image; 0 leaves the image's own size
        fill: puts the system into the tree; /etc/fstab is made here
        root_mib: size of the root filesystem, 0 for the smallest
        mkfs: more arguments for the root's mkfs
    """
    parts = _place(layout, filesystem, root_mib)
    end = max(part.offset + part.size for part in parts)
    with path.open("wb") as file:
        file.truncate(end if layout == "none" else end + MIB)
    if layout != "none":
        _run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(path)], _script(layout, parts))
    tree = Tree(path.with_name(f"{path.name}.tree"))
    fill(tree)
    tree.put("/etc/fstab", _fstab(parts))
    if any(one.wrap[-1:] in (("luks",), ("luks1",)) for one in parts):
        tree.put("/etc/crypttab", "root_crypt /dev/disk/by-partuuid/unknown none luks\n")
    for part in parts:
        if part.path:
            tree.folder(part.path)
    # Inner mount points first: /boot/efi is a folder in /boot's filesystem
    for part in sorted(parts, key=lambda one: -len(one.path)):
        if part.filesystem in ("none", "extended"):
            continue
        content = path.with_name(f"{path.name}.{part.number}")
        inner = part._replace(size=part.size - stacks.overhead(part.wrap) * MIB)
        make(content, inner, _split(tree.path, part), mkfs if part.path == "/" else ())
        if part.wrap:
            stacks.wrapped(content, part.wrap, part.size)
        _run(["dd", f"if={content}", f"of={path}", "bs=1M", f"seek={part.offset // MIB}", "conv=sparse,notrunc"])
        content.unlink()
    if disk_mib:
        os.truncate(path, disk_mib * MIB)
    return Image(path, layout, filesystem, tuple(part for part in parts if part.filesystem not in ("none", "extended")))


def make(file: Path, part: Part, tree: Path | None, arguments: Sequence[str] = ()) -> None:
    """The filesystem of `part` as `file`, with `tree` in it"""
    with file.open("wb") as new:
        new.truncate(part.size)
    kind, name = part.filesystem, str(file)
    if kind.startswith("ext"):
        _run(
            [f"mkfs.{kind}", "-q", "-F", "-U", part.uuid, "-E", "root_owner=0:0"]
            + (["-d", str(tree)] if tree else []) + [*arguments, name]
        )  # fmt: skip
    elif kind == "xfs":
        prototype = file.with_name(f"{file.name}.proto")
        prototype.write_text(_prototype(tree) if tree else "/\n0 0\nd--755 0 0\n$\n")
        _run(["mkfs.xfs", "-q", "-m", f"uuid={part.uuid}", "-p", str(prototype), *arguments, name])
        prototype.unlink()
    elif kind == "btrfs":
        _run(["mkfs.btrfs", "-q", "-U", part.uuid, *arguments, name])
        _subvolumes(file, tree)
    elif kind == "vfat":
        _run(["mkfs.vfat", "-i", part.uuid.replace("-", ""), name])
    elif kind == "swap":
        _run(["mkswap", "-U", part.uuid, name])
    else:
        raise ValueError(kind)


def _split(tree: Path, part: Part) -> Path | None:
    """What of `tree` is to be in `part`; the root comes last, and has mount points in place of what is elsewhere"""
    if part.path in ("", "/"):
        return tree if part.path else None
    own = tree.with_name(f"{tree.name}.{part.number}")
    place = tree / part.path.lstrip("/")
    place.rename(own)
    place.mkdir()
    return own


def _place(layout: str, filesystem: str, root_mib: int) -> list[Part]:
    parts = []
    at = 0 if layout == "none" else 1
    for plan in _PLANS[layout]:
        kind = plan.filesystem or filesystem
        size = plan.size or (root_mib if plan.path == "/" and root_mib else SIZES.get(kind, 0))
        size += stacks.overhead(plan.wrap)
        identity = str(uuid.uuid4())
        if kind == "vfat":
            identity = f"{identity[:4]}-{identity[4:8]}".upper()
        if kind == "extended":
            # Its first MiB holds the first logical partition's boot record
            size = plan.size or 1 + (root_mib or SIZES[filesystem]) + stacks.overhead(plan.wrap)
            parts.append(Part(plan.number, at * MIB, size * MIB, "", kind, ""))
            at += 1
            continue
        parts.append(Part(plan.number, at * MIB, size * MIB, plan.path, kind, identity, plan.wrap))
        at += size
    return parts


def _script(layout: str, parts: Sequence[Part]) -> str:
    lines = [f"label: {'gpt' if layout.startswith('gpt') else 'dos'}"]
    for plan, part in zip(_PLANS[layout], parts, strict=True):
        lines.append(f"{part.number}: start={part.offset // 512}, size={part.size // 512}, type={plan.type}")
    return "\n".join(lines) + "\n"


def _fstab(parts: Sequence[Part]) -> str:
    lines = ["# made by the tests"]
    for part in parts:
        if part.path and part.filesystem == "btrfs":
            lines.append(f"UUID={part.uuid} / btrfs defaults,subvol=@ 0 0")
            lines.append(f"UUID={part.uuid} /home btrfs defaults,subvol=@home 0 0")
        elif part.wrap:
            name = f"{stacks.GROUP.replace('-', '--')}-root" if part.wrap[-1] == "lvm" else "root_crypt"
            lines.append(f"/dev/mapper/{name} / {part.filesystem} defaults 0 1")
        elif part.path:
            lines.append(f"UUID={part.uuid} {part.path} {part.filesystem} defaults 0 1")
    return "\n".join(lines) + "\n"


def _prototype(tree: Path) -> str:
    """A tree as mkfs.xfs' protofile (mkfs.xfs(8), -p)"""

    def lines(folder: Path) -> list[str]:
        found = []
        for entry in sorted(folder.iterdir()):
            status = entry.lstat()
            mode = f"{stat.S_IMODE(status.st_mode) & 0o777:03o} 0 0"
            if entry.is_symlink():
                found.append(f"{entry.name} l--{mode} {os.readlink(entry)}")
            elif entry.is_dir():
                found += [f"{entry.name} d--{mode}", *lines(entry), "$"]
            else:
                found.append(f"{entry.name} ---{mode} {entry}")
        return found

    return "\n".join(["/", "0 0", "d--755 0 0", *lines(tree), "$", ""])


def _subvolumes(file: Path, tree: Path | None) -> None:
    """Subvolumes @ with the tree and @home, as Ubuntu's and openSUSE's installers name them"""
    mounted = file.with_name(f"{file.name}.mnt")
    mounted.mkdir()
    _run(["mount", "-o", "loop", "-t", "btrfs", str(file), str(mounted)])
    try:
        for name in ("@", "@home"):
            _run(["btrfs", "--quiet", "subvolume", "create", str(mounted / name)])
        if tree:
            _run(["cp", "-a", f"{tree}/.", str(mounted / "@")])
            home = mounted / "@" / "home"
            home.mkdir(exist_ok=True)
            _run(["cp", "-a", f"{home}/.", str(mounted / "@home")])
    finally:
        _run(["umount", str(mounted)])
        mounted.rmdir()


def _run(argv: Sequence[str], text: str = "") -> None:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}{done.stdout}"
