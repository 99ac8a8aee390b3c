"""Parsers of the OS parameters about disks; see values.py"""

from __future__ import annotations

import re
from typing import NamedTuple

from helper_host.ganeti import values
from helper_host.ganeti.values import PARTITION_MAX, Invalid, Swap

KEY_MAX = 512
"""Bytes of a passphrase; cryptsetup's own limit at a terminal."""

FILESYSTEMS = {"ext4": 16, "xfs": 12, "btrfs": 255}
"""What data disks can have -> the bytes of a label."""
INDEX_MAX = 15
"""Ganeti's MAX_DISKS, less one."""
DISK = re.compile(r"(?P<disk>[0-9]{1,2}):(?P<path>/[^:]*)(:(?P<filesystem>[a-z0-9]+)(:(?P<label>[^:]+))?)?", re.ASCII)
PATH = re.compile(r"(/[A-Za-z0-9._@+-]+)+", re.ASCII)
LABEL = re.compile(r"[A-Za-z0-9._@+-]+", re.ASCII)
NOWHERE = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
)
"""Folders in which no data disk belongs: the system itself is there."""
MAY_BE_IN = ("/usr/local", "/usr/share", "/usr/src", "/boot/backup")
FORM = "give for example 1:/srv:ext4 2:/var/lib/postgresql:xfs:DATA"
MEMORY = "memory"
SWAP_FORM = "give for example file:512, partition:1024, partition:memory or disk:1"
SNF = re.compile(r"(?P<letter>[A-Za-z])|(?P<number>[1-9][0-9]{0,2}):(?P<mib>[1-9][0-9]{0,6})", re.ASCII)


class DataDisk(NamedTuple):
    """A disk of the instance that is one filesystem"""

    disk: int
    """Ganeti's index."""
    path: str
    """Where it is mounted."""
    filesystem: str
    label: str


def data_disks(text: str) -> tuple[DataDisk, ...]:
    """DISK:PATH[:FILESYSTEM[:LABEL]], separated by blanks"""
    found = tuple(_data_disk(word) for word in values.words(text))
    for what, field in (("disk", 0), ("path", 1)):
        if len({one[field] for one in found}) != len(found):
            raise Invalid(f"has a {what} twice", FORM)
    return found


def _data_disk(word: str) -> DataDisk:
    match = DISK.fullmatch(word)
    if match is None:
        raise Invalid(f"has {values.quote(word, 40)} in it, which is not DISK:PATH[:FILESYSTEM[:LABEL]]", FORM)
    path, filesystem, label = match["path"].rstrip("/"), match["filesystem"] or "ext4", match["label"] or ""
    _check_index(int(match["disk"]), FORM)
    if not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise Invalid(f"has {values.quote(match['path'], 40)} in it, which is no mount point", FORM)
    if _below(path, NOWHERE) and not _below(path, MAY_BE_IN):
        raise Invalid(f"has the mount point {path}, where the system itself is", FORM)
    if filesystem not in FILESYSTEMS:
        raise Invalid(f"has the filesystem {filesystem}, which is none of {', '.join(FILESYSTEMS)}", FORM)
    if label and not (LABEL.fullmatch(label) and len(label) <= FILESYSTEMS[filesystem]):
        raise Invalid(f"has a label that {filesystem} can't have", "give at most 12 letters, digits and hyphens")
    return DataDisk(int(match["disk"]), path, filesystem, label)


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _check_index(index: int, form: str) -> None:
    if index == 0:
        raise Invalid("means disk 0, which has the system", form)
    if index > INDEX_MAX:
        raise Invalid(f"means a disk that no instance has; their numbers are 1 to {INDEX_MAX}", form)


def swap(text: str) -> Swap | None:
    """`file:MIB`, `partition:MIB`, either of them with `memory` for the number, or `disk:N`"""
    kind, _, size = text.strip().partition(":")
    if kind == "disk" and re.fullmatch("[0-9]{1,2}", size, re.ASCII):
        _check_index(int(size), SWAP_FORM)
        return Swap("disk", 0, disk=int(size))
    if kind in ("file", "partition") and size == MEMORY:
        return Swap(kind, 0, of_memory=True)
    if kind not in ("file", "partition") or not re.fullmatch("[0-9]{1,7}", size, re.ASCII):
        raise Invalid("is neither file:MIB, partition:MIB nor disk:N", SWAP_FORM)
    if not 1 <= int(size) <= values.SWAP_MAX_MIB:
        raise Invalid(f"is not of 1 to {values.SWAP_MAX_MIB} MiB", SWAP_FORM)
    return Swap(kind, int(size))


def snf_swap(text: str) -> Swap | None:
    """snf-image's property SWAP: PARTITION:MIB, or a disk's letter"""
    match = SNF.fullmatch(text.strip())
    if match is None:
        raise Invalid("is neither PARTITION:MB nor a disk's letter", "give for example 2:512, or b for the second disk")
    if match["letter"]:
        index = ord(match["letter"].lower()) - ord("a")
        _check_index(index, "give b for the second disk, c for the third")
        return Swap("disk", 0, disk=index)
    if int(match["mib"]) > values.SWAP_MAX_MIB:
        raise Invalid(f"is not of 1 to {values.SWAP_MAX_MIB} MiB", "give for example 2:512")
    return Swap("partition", int(match["mib"]), number=int(match["number"]))


def resize(text: str) -> str:
    """auto, no, or the number of a partition"""
    word = text.strip().lower()
    if word in ("auto", "no"):
        return word
    if not (word.isascii() and word.isdigit() and 1 <= int(word) <= PARTITION_MAX):
        raise Invalid("is neither auto, no, nor the number of a partition", "give auto, no, or a number such as 2")
    return str(int(word))


def luks_key(text: str) -> str:
    """A passphrase, every character of which counts"""
    if len(text.encode()) > KEY_MAX:
        raise Invalid(f"is longer than {KEY_MAX} bytes", "give the passphrase itself, not a key file's content")
    return text
