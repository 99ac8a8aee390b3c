"""What is on the disk and what of it is asked for, in words where it isn't what was hoped for"""

from __future__ import annotations

from collections.abc import Sequence

from helper_agent.api import TaskError
from helper_agent.disk.partitions import Table
from helper_agent.disk.signatures import Signature
from helper_agent.filesystems.base import of
from helper_agent.job import Job

UNREADABLE = {
    "LVM2_member": "an LVM physical volume",
    "crypto_LUKS": "an encrypted volume (LUKS)",
    "bcache": "a bcache device",
    "bcachefs": "bcachefs",
    "linux_raid_member": "a member of a software RAID",
    "ntfs": "NTFS, perhaps Windows",
    "ufs": "UFS, perhaps a BSD",
    "iso9660": "an ISO image, perhaps an installer",
}
"""What is found and can't be looked into as it is, in words."""
OPENED = ("LVM2_member", "crypto_LUKS")
"""What is looked into where it can be opened."""


def asked_for(job: Job, table: Table | None, here: Sequence[Signature]) -> list[Signature]:
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
    there_is = [one for one in here if one.number == number]
    found = [one for one in there_is if _holds_system(one)]
    if not found:
        what = UNREADABLE.get(there_is[0].type, there_is[0].type) if there_is else "no known filesystem"
        raise TaskError(
            f"root_partition={asked}: it holds {what}", "give another one, or leave it out", code="E-ROOT-PARTITION"
        )
    return found


def _holds_system(signature: Signature) -> bool:
    known = of(signature.type)
    return known is not None and known.holds_system


def no_system(here: Sequence[Signature], nearly: bool) -> TaskError:
    """The error for disks without a system; `nearly`: there is one that has no os-release"""
    found = [f"{_where(one)}: {UNREADABLE.get(one.type, one.type)}" for one in here]
    text = "; ".join(found) if found else "no known filesystem"
    hint = "is the image complete, and is image_format right?"
    locked = [one for one in here if one.type == "crypto_LUKS"]
    if locked and not any(layer.kind == "luks" for one in here for layer in one.stack):
        hint = "give the passphrase of the encrypted volume as luks_key, with --os-parameters-secret"
    elif any(one.type in UNREADABLE and one.type not in OPENED for one in here):
        hint = "the helper doesn't look into RAID and other systems' filesystems; use another image"
    elif special := _special({one.partlabel for one in here}):
        hint = special
    elif nearly:
        hint = "give root_partition if the system has no os-release"
    return TaskError(f"No Linux system was found on the disk; found: {text}", hint, code="E-NO-SYSTEM")


def _special(labels: set[str]) -> str:
    """What to do with a system that isn't found, known by the labels of its partitions"""
    from helper_agent.distros import flatcar

    return flatcar.BEFORE_FIRST_BOOT if labels >= flatcar.PARTITIONS else ""


def _where(one: Signature) -> str:
    if one.stack:
        return one.title
    return f"partition {one.number}" if one.number else "the whole disk"
