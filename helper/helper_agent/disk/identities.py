"""New UUIDs for what is on the first disk: which ones, and how they get there

A new identifier is made from a seed of the run and the old one. So every task of the run knows it without being told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from helper_agent.api import Logger, TaskError
from helper_agent.disk import devices, partitions, swap
from helper_agent.disk.signatures import Signature
from helper_agent.filesystems.base import Run, of
from helper_agent.records import NamedTuple
from helper_agent.run import CommandFailed

if TYPE_CHECKING:
    from helper_agent.inspection import Devices

FORMS = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",  # filesystems, GPT
    r"[0-9A-F]{4}-[0-9A-F]{4}",  # FAT
    r"[0-9a-f]{8}",  # msdos tables
)


class Identities(NamedTuple):
    """What gets which identifier"""

    filesystems: tuple[tuple[Signature, str], ...]
    """Filesystems and swap areas, each with its new UUID."""
    left: tuple[Signature, ...]
    """Those that keep theirs, since there is no way to change it."""
    texts: Mapping[str, str]
    """Old -> new, of all that may be named in files: UUIDs, PARTUUIDs, the disk's own."""


def fresh(seed: str, old: str) -> str:
    """Another identifier of the form that `old` has, the same whenever it is asked for

    Raises:
        ValueError: none of the forms
    """
    from hashlib import sha256

    made = bytearray(sha256(f"{seed} {old.lower()}".encode()).digest()[:16])
    if re.fullmatch(FORMS[0], old):
        made[6] = made[6] & 0x0F | 0x40  # version 4
        made[8] = made[8] & 0x3F | 0x80
        text = made.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    made[0] |= 1  # no zero, which is none
    if re.fullmatch(FORMS[1], old):
        return f"{made[:2].hex()}-{made[2:4].hex()}".upper()
    if re.fullmatch(FORMS[2], old):
        return made[:4].hex()
    raise ValueError(old)


def plan(system: Devices, seed: str) -> Identities:
    """What is to be changed on the first disk, as it was inspected"""
    here = [one for one in system.filesystems if one.disk == system.disk and one.uuid]
    changed = tuple((one, fresh(seed, one.uuid)) for one in here if _can_change(one))
    texts = {one.uuid: new for one, new in changed}
    if table := system.table:
        new_disk = fresh(seed, table.identity)
        texts[table.identity] = new_disk
        for part in table.partitions:
            texts[part.uuid] = fresh(seed, part.uuid) if table.kind == "gpt" else f"{new_disk}{part.uuid[8:]}"
    return Identities(changed, tuple(one for one in here if not _can_change(one)), texts)


def change(system: Devices, planned: Identities, seed: str, run: Run, log: Logger) -> None:
    """Give each its new identifier; nothing is mounted

    Raises:
        TaskError: E-FILESYSTEM
        OSError
    """
    for one, new in planned.filesystems:
        try:
            _change(one, new, run, log)
        except CommandFailed as error:
            raise TaskError(
                f"The {one.type} filesystem on {one.device} could not be given another UUID: {error}",
                "check it on a copy of the image, or leave out new_uuids",
                code="E-FILESYSTEM",
                output=error.output,
            ) from None
    with partitions.Medium(system.disk, write=True) as medium:
        if table := partitions.read(medium):
            table.identify(lambda old: fresh(seed, old))
            table.write(medium)
    devices.reread(system.disk)


def _change(one: Signature, new: str, run: Run, log: Logger) -> None:
    if one.type == "swap":
        swap.identify(one.device, new, run)
    elif (known := of(one.type)) is not None and known.identify is not None:
        known.identify(one.device, new, run, log)


def _can_change(one: Signature) -> bool:
    if not re.fullmatch("|".join(FORMS[:2]), one.uuid):
        return False
    known = of(one.type)
    return one.type == "swap" or (known is not None and known.identify is not None)
