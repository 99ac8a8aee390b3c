"""Whole disks for data or swap: what is on them, and whether they may be formatted

A disk is formatted when it is blank, and never otherwise. What it gets is told by a UUID that the node makes of the
instance's own and the disk's index: so a reinstallation knows it again, and its data stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from helper_agent.api import TaskError
from helper_agent.disk import signatures
from helper_agent.disk.medium import Medium
from helper_agent.records import NamedTuple

BORDER = 1 << 20
"""Bytes at both ends of a disk, all of which are zero where it is blank: tables, superblocks and their copies."""
STEP = 64 * 1024


class Wanted(NamedTuple):
    """A data disk, as the option `disks` of the tasks has it: INDEX PATH TYPE UUID, and the LABEL if there is one"""

    disk: int
    path: str
    type: str
    uuid: str
    label: str


def wanted(items: Iterable[str]) -> list[Wanted]:
    """The items of the option

    Raises:
        TaskError: E-OPTION
    """
    found = []
    for item in items:
        fields = item.split(" ")
        if not 4 <= len(fields) <= 5 or not fields[0].isdigit() or not fields[1].startswith("/"):
            raise TaskError(f"{item!r} is no data disk", "give INDEX PATH TYPE UUID [LABEL]", code="E-OPTION")
        found.append(Wanted(int(fields[0]), fields[1], fields[2], fields[3], "".join(fields[4:])))
    return found


def device(disks: Mapping[int, str], index: int) -> str:
    """Device path of the instance's disk `index`, which isn't the system's

    Raises:
        TaskError: E-OPTION, there is none
    """
    if not index or index not in disks:
        there = ", ".join(str(each) for each in sorted(disks) if each) or "none beside the system's"
        raise TaskError(
            f"The instance has no disk {index} for data", f"there are: {there}; add one, or correct it", code="E-OPTION"
        )
    return disks[index]


def needs_format(path: str, index: int, types: Iterable[str], uuid: str) -> bool:
    """Whether the disk is blank; not where it is one of `types` with our `uuid` already

    Raises:
        TaskError: E-OPTION, something else is on it
        OSError
    """
    with Medium(path) as medium:
        found = signatures.probe(medium, 0, medium.size)
        if found and found[0] in types and found[1] == uuid:
            return False
        if found is None and _is_blank(medium):
            return True
        what = _what(medium, found, types, uuid)
    raise TaskError(
        f"Disk {index} holds {what}; nothing of it was changed",
        "clear the disk if nobody needs that (replace it by a new one, with prealloc_wipe_disks), or leave it out",
        code="E-OPTION",
    )


def _is_blank(medium: Medium) -> bool:
    for start in (0, max(0, medium.size - BORDER)):
        for at in range(start, min(start + BORDER, medium.size), STEP):
            if any(medium.read_bytes(at, STEP)):
                return False
    return True


def _what(medium: Medium, found: tuple[str, str, str] | None, types: Iterable[str], uuid: str) -> str:
    """What is on the disk, in words"""
    if found is not None:
        kind, its_uuid, label = found
        name = f"{kind} ({', '.join(filter(None, (label and f'label {label}', its_uuid)))})".replace(" ()", "")
        if its_uuid == uuid:
            return f"{name} of an earlier installation, and {' or '.join(types)} was asked for"
        return f"{name}, which is not of this instance"
    from helper_agent.disk import partitions

    try:
        table = partitions.read(medium)
    except TaskError:
        return "a damaged partition table"
    return "a partition table" if table is not None else "data that is not known here"
