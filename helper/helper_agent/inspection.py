"""Which system is on the disks, and where its root is

The root is found by what is in it: a filesystem with an os-release, or else one of the older release files. Candidates
are mounted one by one, read-only and without replaying a journal, looked at, and unmounted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from helper_agent import release
from helper_agent.api import Logger, TaskError
from helper_agent.disk import devices, fstab, mounts, partitions
from helper_agent.disk.partitions import Table
from helper_agent.disk.signatures import Signature
from helper_agent.filesystems.base import Filesystem, Run, of
from helper_agent.protocol import IMAGE_DESCRIPTION, Job
from helper_agent.records import NamedTuple
from helper_agent.root import Root

if TYPE_CHECKING:
    from helper_agent.description import Description

LOOK = "/run/helper/look"
FAMILIES = ("linux",)
"""OS families the helper knows."""
UNREADABLE = {
    "LVM2_member": "an LVM physical volume",
    "crypto_LUKS": "an encrypted volume (LUKS)",
    "linux_raid_member": "a member of a software RAID",
    "ntfs": "NTFS, perhaps Windows",
    "ufs": "UFS, perhaps a BSD",
    "iso9660": "an ISO image, perhaps an installer",
}
"""What is found and can't be looked into, in words."""


class Devices(NamedTuple):
    """The instance's disks, and the system that was found on them"""

    disks: Mapping[int, str]
    """Ganeti's index -> device path."""
    disk: str
    """Disk 0."""
    table: Table | None
    """Of disk 0 when it was looked at; None: the disk is one filesystem."""
    filesystems: tuple[Signature, ...]
    """Of all disks."""
    root_device: str
    """Device path of the root filesystem."""
    root_type: str
    """Its type: ext4, xfs, btrfs, ..."""
    root_options: tuple[str, ...]
    """btrfs: the subvolume."""
    root_number: int | None
    """Partition of the root on disk 0; None: the disk itself."""
    os_release: Mapping[str, str]
    """os-release(5) of the image."""
    family: str
    """OS family: linux."""
    fstab: tuple[fstab.Entry, ...]
    """fstab(5) of the image."""
    description: Description | None = None
    """The image's own, where it has one and it counts."""


class Candidate(NamedTuple):
    """A filesystem, or a subvolume of one, that may be the root"""

    signature: Signature
    options: tuple[str, ...]
    os_release: Mapping[str, str]
    fstab: tuple[fstab.Entry, ...]
    rank: int
    """3: has an os-release; 2: an older release file; 1: only an fstab and a passwd, its /usr may be elsewhere."""
    described: bool = False
    """Has a description of its own, `protocol.IMAGE_DESCRIPTION`."""


def inspect(job: Job, disks: Mapping[int, str], log: Logger, run: Run) -> Devices:
    """Find the system on `disks` (Ganeti's index -> device path)

    Raises:
        TaskError: E-PARTITION-TABLE, E-NO-SYSTEM, E-ROOT-PARTITION, E-FILESYSTEM
    """
    if job.os_family and job.os_family not in FAMILIES:
        raise TaskError(
            f"Systems of the family {job.os_family!r} are not supported",
            f"use one of: {', '.join(FAMILIES)}",
            code="E-OPTION",
        )
    disk = disks.get(0, "")
    if not disk:
        raise TaskError("The instance's disk 0 is not there", "this is a fault of the helper", code="E-AGENT")
    table = _table(disk, log)
    here = devices.signatures(disk, table)
    everywhere = here + _on_other_disks(disks, log)
    wanted = _asked_for(job, table, here)
    candidates, unreadable = _look_at_all(wanted, log)
    if not candidates and unreadable:
        candidates = _look_after_repair(unreadable, log, run)
    complete = [_with_usr(one, everywhere, disks) for one in candidates]
    fit = [one for one in complete if one.rank > 1 or job.root_partition]
    if not fit:
        raise _no_system(here, bool(complete))
    best = _choose(fit, everywhere, disks, log)
    log.debug(f"root is {best.signature.device} ({best.signature.type}) {','.join(best.options)}".rstrip())
    return Devices(
        disks=disks,
        disk=disk,
        table=table,
        filesystems=tuple(everywhere),
        root_device=best.signature.device,
        root_type=best.signature.type,
        root_options=best.options,
        root_number=best.signature.number or None,
        os_release=best.os_release,
        family="linux",
        fstab=best.fstab,
        description=_description(best) if job.image_description else None,
    )


def _description(root: Candidate) -> Description | None:
    """The image's own description; nearly all have none, and the look costs less than what reads one

    Raises:
        TaskError: E-OPTION, a description that is none
    """
    if not root.described:
        return None
    from helper_agent import described

    known = of(root.signature.type)
    assert known is not None
    with _Looking(root.signature, known, root.options) as path:
        tree = Root(path)
        try:
            return described.read(tree)
        finally:
            tree.close()


def _table(disk: str, log: Logger) -> Table | None:
    """The table of disk 0, mended on the disk where one copy of it was damaged"""
    table = partitions.read_disk(disk)
    for remark in table.remarks if table else ():
        log.warning(f"On the first disk {remark}")
    if table and table.must_write:
        with partitions.Medium(disk, write=True) as medium:
            table.write(medium)
        devices.reread(disk)
    return table


def _on_other_disks(disks: Mapping[int, str], log: Logger) -> list[Signature]:
    found: list[Signature] = []
    for index, path in sorted(disks.items()):
        if index == 0:
            continue
        try:
            found += devices.signatures(path, partitions.read_disk(path))
        except TaskError as error:
            log.warning(f"Disk {index} is left out: {error.cause}")
    return found


def _asked_for(job: Job, table: Table | None, here: list[Signature]) -> list[Signature]:
    """The filesystems among which the root is looked for

    Raises:
        TaskError: E-ROOT-PARTITION
    """
    asked = job.root_partition
    if not asked:
        return [one for one in here if _holds_system(one)]
    if asked != "none" and not (asked.isascii() and asked.isdigit() and int(asked)):
        raise TaskError(f"root_partition={asked!r} is neither a number nor 'none'", code="E-ROOT-PARTITION")
    number = 0 if asked == "none" else int(asked)
    if number and (table is None or table.partition(number) is None):
        there = (
            f"there are {', '.join(str(one.number) for one in table.partitions)}" if table else "it has no table at all"
        )
        raise TaskError(
            f"root_partition={number}: the disk has no such partition",
            f"{there}; give one of them, or leave it out",
            code="E-ROOT-PARTITION",
        )
    if not number and table is not None:
        raise TaskError(
            "root_partition=none, but the disk has a partition table",
            "give the number of the partition, or leave it out",
            code="E-ROOT-PARTITION",
        )
    found = [one for one in here if one.number == number]
    if not found or not _holds_system(found[0]):
        what = UNREADABLE.get(found[0].type, found[0].type) if found else "no known filesystem"
        raise TaskError(
            f"root_partition={asked}: it holds {what}", "give another one, or leave it out", code="E-ROOT-PARTITION"
        )
    return found


def _holds_system(signature: Signature) -> bool:
    known = of(signature.type)
    return known is not None and known.holds_system


def _look_at_all(signatures: list[Signature], log: Logger) -> tuple[list[Candidate], list[Signature]]:
    """The candidates among `signatures`, and those that could not be mounted"""
    candidates: list[Candidate] = []
    unreadable: list[Signature] = []
    for signature in signatures:
        try:
            if found := _look(signature):
                candidates.append(found)
        except TaskError as error:
            # It may not be the root at all
            log.warning(f"{error.cause}; it is left out in the search for the root")
            unreadable.append(signature)
    return candidates, unreadable


def _look_after_repair(signatures: list[Signature], log: Logger, run: Run) -> list[Candidate]:
    """The candidates among filesystems that could not be mounted, once they are repaired

    Raises:
        TaskError: E-FILESYSTEM
    """
    found = []
    for signature in signatures:
        known = of(signature.type)
        assert known is not None
        if known.repair:
            known.repair(signature.device, run, log)
        found.append(_look(signature))
    return [one for one in found if one]


def _look(signature: Signature) -> Candidate | None:
    """What speaks for `signature` as the root, None for nothing

    Raises:
        TaskError: E-FILESYSTEM, it can't be mounted
    """
    known = of(signature.type)
    assert known is not None
    found = _look_into(signature, known, ())
    if found is None and signature.type == "btrfs":
        for options in _subvolumes(signature, known):
            if found := _look_into(signature, known, options):
                break
    return found


def _subvolumes(signature: Signature, known: Filesystem) -> list[tuple[str, ...]]:
    """Mount options for each subvolume that may hold a system, the default one left out"""
    from helper_agent.filesystems.btrfs import subvolumes

    with _Looking(signature, known, ("subvolid=5",)) as path:
        return [(f"subvol=/{name}",) for name in subvolumes(path) if "," not in name]


class _Looking:
    """A filesystem mounted read-only for a look"""

    def __init__(self, signature: Signature, known: Filesystem, options: tuple[str, ...]) -> None:
        self._arguments = (signature.device, LOOK, known, ",".join(filter(None, (known.look, *options))))
        self._mounts = mounts.Mounts(LOOK)

    def __enter__(self) -> str:
        os.makedirs(LOOK, exist_ok=True)
        self._mounts.add(*self._arguments, read_only=True)
        return LOOK

    def __exit__(self, *_: object) -> None:
        self._mounts.close()


def _look_into(signature: Signature, known: Filesystem, options: tuple[str, ...]) -> Candidate | None:
    with _Looking(signature, known, options) as path:
        root = Root(path)
        try:
            return _judge(root, signature, options)
        finally:
            root.close()


def _judge(root: Root, signature: Signature, options: tuple[str, ...]) -> Candidate | None:
    table = fstab.parse(release.text(root, "/etc/fstab"))
    described = root.exists(IMAGE_DESCRIPTION)
    if found := release.read(root):
        # /usr on a filesystem of its own has a lib/os-release too, but no /etc
        return Candidate(signature, options, found, table, 3, described) if root.is_dir("/etc") else None
    if found := release.older(root):
        return Candidate(signature, options, found, table, 2, described)
    if table and root.is_file("/etc/passwd"):
        return Candidate(signature, options, {}, table, 1, described)
    return None


def _with_usr(candidate: Candidate, everywhere: list[Signature], disks: Mapping[int, str]) -> Candidate:
    """A candidate whose os-release lies on the filesystem its fstab mounts on /usr"""
    if candidate.rank != 1:
        return candidate
    for entry in candidate.fstab:
        usr = fstab.resolve(entry, everywhere, disks) if entry.path.rstrip("/") == "/usr" else None
        known = of(usr.type) if usr else None
        if usr is None or known is None:
            continue
        subvolume = entry.option("subvol")
        options = (f"subvol={subvolume}",) if subvolume and usr.type == "btrfs" else ()
        with _Looking(usr, known, options) as path:
            root = Root(path)
            try:
                if found := release.read(root, ("/lib/os-release",)):
                    return candidate._replace(os_release=found, rank=3)
            finally:
                root.close()
    return candidate


def _choose(
    candidates: list[Candidate], everywhere: list[Signature], disks: Mapping[int, str], log: Logger
) -> Candidate:
    """The root among `candidates` (not empty): the best evidence, then the one whose own fstab calls it /"""

    def evidence(one: Candidate) -> tuple[int, bool, int]:
        by_itself = any(
            entry.path == "/" and fstab.resolve(entry, everywhere, disks) == one.signature for entry in one.fstab
        )
        return -one.rank, not by_itself, one.signature.number

    best, *others = sorted(candidates, key=evidence)
    if others:
        names = ", ".join(one.signature.device for one in others)
        log.warning(
            f"{best.signature.device} is taken for the root; {names} would be possible too "
            "(root_partition says which one it is)"
        )
    if not best.os_release:
        log.warning(f"{best.signature.device} has no os-release, the system is treated as an unknown Linux")
    return best


def _no_system(here: list[Signature], nearly: bool) -> TaskError:
    found = [f"{_where(one)}: {UNREADABLE.get(one.type, one.type)}" for one in here]
    text = "; ".join(found) if found else "no known filesystem"
    hint = "is the image complete, and is image_format right?"
    if any(one.type in UNREADABLE for one in here):
        hint = "the helper doesn't look into LVM, LUKS, RAID and other systems' filesystems; use another image"
    elif nearly:
        hint = "give root_partition if the system has no os-release"
    return TaskError(f"No Linux system was found on the disk; found: {text}", hint, code="E-NO-SYSTEM")


def _where(signature: Signature) -> str:
    return f"partition {signature.number}" if signature.number else "the whole disk"
