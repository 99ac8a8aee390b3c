"""Files of an image that name filesystems and partitions by their UUIDs, and how they follow when these change

By text, wherever one of the old UUIDs stands: a UUID means the same in every file. What names one in a form that can't
be edited is found out before anything is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from helper_agent.boot import bls, extlinux, grub_cfg
from helper_agent.root import Root

FILES = (
    "/etc/fstab",
    "/etc/crypttab",
    "/etc/default/grub",
    "/etc/default/grub.d/*",
    "/etc/grub.d/*",
    "/etc/initramfs-tools/initramfs.conf",
    "/etc/initramfs-tools/conf.d/*",
    "/etc/dracut.conf",
    "/etc/dracut.conf.d/*",
    "/etc/mkinitcpio.conf",
    "/etc/mkinitcpio.conf.d/*",
    "/etc/mkinitfs/mkinitfs.conf",
    "/etc/genkernel.conf",
    "/etc/lilo.conf",
    "/etc/sysconfig/bootloader",
    "/etc/systemd/system/*.mount",
    "/etc/systemd/system/*.automount",
    "/etc/systemd/system/*.swap",
    "/boot/refind_linux.conf",
    "/boot/grub/*.cfg",
    "/boot/grub2/*.cfg",
    "/boot/grub/grub.d/*.cfg",
    *grub_cfg.PATHS,
    *grub_cfg.LEGACY,
    *bls.ENTRIES,
    *bls.CMDLINES,
    *bls.GRUBENVS,
    *extlinux.PATHS,
    *extlinux.SOURCES,
)
EFI_PROGRAMS = ("/boot/efi/EFI/*/*.efi", "/boot/EFI/*/*.efi", "/efi/EFI/*/*.efi",
                "/boot/efi/EFI/*/*.EFI", "/boot/EFI/*/*.EFI", "/efi/EFI/*/*.EFI")  # fmt: skip
"""grub-install writes the UUID of /boot into the GRUB that it makes for EFI, plainly; distributions' signed ones read a
grub.cfg beside them."""
EFI_PROGRAM_MAX = 8 * 1024 * 1024
"""Bytes; a kernel is larger."""
UNIFIED = ("/boot/efi/EFI/Linux/*.efi", "/boot/EFI/Linux/*.efi", "/efi/EFI/Linux/*.efi")
"""Kernel, initrd and command line in one file, often signed."""
EMBEDDED = ("/boot/grub/i386-pc/load.cfg", "/boot/grub2/i386-pc/load.cfg")
"""What grub-install has put into core.img, packed, where its place on the disk alone doesn't tell where /boot is."""
DRACUT = ("/usr/lib/dracut/dracut.conf.d/*.conf", "/etc/dracut.conf", "/etc/dracut.conf.d/*.conf")


def obstacle(root: Root, texts: Mapping[str, str]) -> str:
    """Why the image wouldn't boot with other UUIDs, "" where it would

    Raises:
        TaskError, OSError: as `Root.read`
    """
    pattern = _pattern(texts)
    for path in _there(root, EMBEDDED):
        if re.search(pattern, root.read_text(path)):
            return f"its boot loader has a UUID in core.img ({path} says so), which only grub-install can change"
    for path in _there(root, UNIFIED):
        return f"it boots a unified kernel image, {path}, which may have a UUID in it"
    if _made_for_this_disk(root):
        return "dracut makes its initramfs for this very disk (hostonly), and it waits for the old UUIDs"
    return ""


def follow(root: Root, texts: Mapping[str, str]) -> list[str]:
    """The new UUIDs in all files that have the old ones; their paths

    Raises:
        TaskError, OSError: as `Root.edit`
    """
    found = []
    for path in _there(root, FILES):
        before = root.read_text(path)
        after = replaced(before, texts)
        if after != before:
            root.write(path, after)
            found.append(path)
    for path in _there(root, EFI_PROGRAMS):
        if root.stat(path).st_size <= EFI_PROGRAM_MAX:
            before = root.read(path, limit=EFI_PROGRAM_MAX).decode("latin-1")
            after = replaced(before, texts)
            if after != before:
                root.write(path, after.encode("latin-1"))
                found.append(path)
    return found


def replaced(text: str, texts: Mapping[str, str]) -> str:
    """`text` with new UUIDs in the place of old ones, in the case and form they are written in, at the same length"""
    folded = text.lower()
    # A search by the pattern takes a hundred times as long, and nearly all files have none
    if not any(old.partition("-")[0].lower() in folded for old in texts):
        return text
    new = {old.lower(): each for old, each in texts.items()}

    def one(match: re.Match[str]) -> str:
        found = match[0].replace("\\x2d", "-")
        made = new[found.lower()].upper() if found == found.upper() != found.lower() else new[found.lower()].lower()
        return made.replace("-", "\\x2d") if "\\x2d" in match[0] else made

    return re.sub(_pattern(texts), one, text)


def _pattern(texts: Mapping[str, str]) -> str:
    r"""All of `texts`, also as in systemd's names of units (\x2d for a hyphen); short ones stand alone"""
    words = []
    for old in sorted(texts, key=len, reverse=True):
        either = old.replace("-", r"(?:-|\\x2d)")
        words.append(either if len(old) == 36 else rf"(?<![0-9a-f-]){either}(?![0-9a-f-])")
    return f"(?i:{'|'.join(words)})" if words else r"(?!)"


def _made_for_this_disk(root: Root) -> bool:
    """Whether dracut's settings say hostonly, whose initramfs waits for the devices it was made on"""
    value = ""
    for path in _there(root, DRACUT):
        for match in re.finditer(r"""(?m)^[ \t]*hostonly=["']?(\w+)""", root.read_text(path)):
            value = match[1]
    return value not in ("", "no")


def _there(root: Root, patterns: tuple[str, ...]) -> Iterator[str]:
    seen = set()
    for path in (path for pattern in patterns for path in root.glob(pattern)):
        if path not in seen and root.is_file(path):
            seen.add(path)
            yield path
