"""Which system is on the disks, and where its root is

The root is found by what is in it: a filesystem with an os-release, or else one of the older release files. It may lie
in a volume: LVM, or LUKS with the passphrase that was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from helper_agent import candidates, looking
from helper_agent.api import Logger, TaskError
from helper_agent.disk import devices, fstab, partitions
from helper_agent.disk.partitions import Table
from helper_agent.disk.signatures import Layer, Signature
from helper_agent.filesystems.base import Run
from helper_agent.job import Job
from helper_agent.looking import Candidate
from helper_agent.records import NamedTuple

if TYPE_CHECKING:
    from helper_agent.description import Description
    from helper_agent.disk.volumes import Volumes

FAMILIES = ("linux",)
"""OS families the helper knows."""
UNLOCK = "unlock"
"""The task whose option `key` is the passphrase of encrypted volumes; they are opened here, before any task."""


class Devices(NamedTuple):
    """The instance's disks, and the system that was found on them"""

    disks: Mapping[int, str]
    """Ganeti's index -> device path."""
    disk: str
    """Disk 0."""
    table: Table | None
    """Of disk 0 when it was looked at; None: the disk is one filesystem."""
    filesystems: tuple[Signature, ...]
    """Of all disks, and of the volumes on them."""
    root_device: str
    """Device path of the root filesystem."""
    root_type: str
    """Its type: ext4, xfs, btrfs, ..."""
    root_options: tuple[str, ...]
    """btrfs: the subvolume."""
    root_number: int | None
    """Partition on disk 0 in which the root is, itself or in a volume; None: the disk itself."""
    os_release: Mapping[str, str]
    """os-release(5) of the image."""
    family: str
    """OS family: linux."""
    fstab: tuple[fstab.Entry, ...]
    """fstab(5) of the image."""
    description: Description | None = None
    """The image's own, where it has one and it counts."""
    root_stack: tuple[Layer, ...] = ()
    """The volumes between the partition and the root filesystem, the lowest first."""
    root_folder: str = ""
    """The folder of the root filesystem that is the root: an ostree deployment's; "": its top."""
    volumes: Volumes | None = None
    """The volumes that are open; closed by the agent, after the umount."""


class _There(NamedTuple):
    """What is on the disks"""

    table: Table | None
    disks: Mapping[int, str]
    everywhere: list[Signature]
    volumes: Volumes | None


def inspect(job: Job, disks: Mapping[int, str], log: Logger, run: Run) -> Devices:
    """Find the system on `disks` (Ganeti's index -> device path)

    Raises:
        TaskError: E-PARTITION-TABLE, E-NO-SYSTEM, E-ROOT-PARTITION, E-FILESYSTEM, E-VOLUME
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
    volumes, inside = _open(everywhere, job, disk, log, run)
    try:
        return _find(_There(table, disks, everywhere + inside, volumes), job, log, run)
    except BaseException:
        if volumes:
            volumes.close()
        raise


def _open(
    everywhere: list[Signature], job: Job, disk: str, log: Logger, run: Run
) -> tuple[Volumes | None, list[Signature]]:
    """What is in the volumes on the disks; nearly all disks have none"""
    key = str(job.options.get(UNLOCK, {}).get("key") or "")
    if not any(one.type == "LVM2_member" or (one.type == "crypto_LUKS" and key) for one in everywhere):
        return None, []
    from helper_agent.disk.volumes import Volumes

    volumes = Volumes(run, log)
    try:
        return volumes, volumes.open(everywhere, key, disk)
    except BaseException:
        volumes.close()
        raise


def _find(there: _There, job: Job, log: Logger, run: Run) -> Devices:
    """The system among the filesystems that are there"""
    table, disks, everywhere, volumes = there
    here = [one for one in everywhere if one.disk == disks[0]]
    wanted = candidates.asked_for(job, table, here)
    found, unreadable = looking.look_at_all(wanted, log)
    if not found and unreadable:
        found = looking.look_after_repair(unreadable, log, run)
    complete = [looking.with_usr(one, everywhere, disks) for one in found]
    fit = [one for one in complete if one.rank > 1 or job.root_partition]
    if not fit:
        raise volumes.problems[0] if volumes and volumes.problems else candidates.no_system(here, bool(complete))
    best = _choose(fit, everywhere, disks, log)
    log.debug(f"root is {best.signature.title} ({best.signature.type}) {','.join(best.options)} {best.folder}".rstrip())
    return Devices(
        disks=disks,
        disk=disks[0],
        table=table,
        filesystems=tuple(everywhere),
        root_device=best.signature.device,
        root_type=best.signature.type,
        root_options=best.options,
        root_number=best.signature.number or None,
        os_release=best.os_release,
        family="linux",
        fstab=best.fstab,
        description=looking.description(best) if job.image_description else None,
        root_stack=best.signature.stack,
        root_folder=best.folder,
        volumes=volumes,
    )


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


def _choose(found: list[Candidate], everywhere: list[Signature], disks: Mapping[int, str], log: Logger) -> Candidate:
    """The root among `found` (not empty): the best evidence, then the one whose own fstab calls it /"""

    def evidence(one: Candidate) -> tuple[int, bool, int]:
        by_itself = any(
            entry.path == "/" and fstab.resolve(entry, everywhere, disks) == one.signature for entry in one.fstab
        )
        return -one.rank, not by_itself, one.signature.number

    best, *others = sorted(found, key=evidence)
    if others:
        names = ", ".join(one.signature.title for one in others)
        log.warning(
            f"{best.signature.title} is taken for the root; {names} would be possible too "
            "(root_partition says which one it is)"
        )
    if not best.os_release:
        log.warning(f"{best.signature.title} has no os-release, the system is treated as an unknown Linux")
    return best
