"""The partition table of a disk, read and checked by our own code before any tool or task acts on it

The kernel has parsed the table by then, and takes more than is healthy: overlaps, loops, duplicates. What passes here
is a table on which growing a partition can't destroy another one.
"""

from __future__ import annotations

from helper_agent.disk import gpt, msdos, signatures
from helper_agent.disk.medium import Medium
from helper_agent.disk.table import Partition, Table, broken

__all__ = ["Medium", "Partition", "Table", "read", "read_disk"]


def read(medium: Medium) -> Table | None:
    """The table of `medium`; None where there is none: an empty disk, or one filesystem on the whole disk

    Raises:
        TaskError: E-PARTITION-TABLE, a table that is damaged, contradicts itself, or is of a kind nobody should use
        OSError
    """
    if medium.sectors < 1:
        return None
    sector = medium.read(0)
    used = [entry for entry in msdos.entries(sector) if entry.kind]
    if sector[510:512] == msdos.MAGIC and used:
        if any(entry.kind == gpt.PROTECTIVE for entry in used):
            return gpt.read(medium, sector)
        if all(entry.status in (0, 0x80) for entry in msdos.entries(sector)):
            return _msdos(medium, sector)
        # Boot sectors of FAT and NTFS carry the same magic number, and code where a table would be
        if signatures.probe(medium, 0, medium.size):
            return None
        raise broken("the boot sector's entries are not those of a partition table")
    if signatures.probe(medium, 0, medium.size):
        return None
    _no_orphan(medium)
    return None


def read_disk(path: str) -> Table | None:
    """`read` of the disk `path`

    Raises:
        TaskError, OSError: as `read`
    """
    with Medium(path) as medium:
        return read(medium)


def _msdos(medium: Medium, sector: bytes) -> Table | None:
    # A FAT or NTFS boot sector whose code happens to look like entries
    return None if signatures.boot_sector(sector) else msdos.Msdos(medium, sector)


def _no_orphan(medium: Medium) -> None:
    """Refuse a GPT that the kernel doesn't see: without its protective MBR, or for another sector size"""
    for size in (512, 4096):
        if medium.read_bytes(size, 8) != gpt.SIGNATURE:
            continue
        if size != medium.sector_size:
            raise broken(
                f"it is a GPT for sectors of {size} bytes, and the disk has sectors of {medium.sector_size}",
                "use an image made for this sector size",
            )
        raise broken("it is a GPT without its protective MBR", "write one with gdisk where the image was made")
