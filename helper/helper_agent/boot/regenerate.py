"""grub's configuration made anew by the image's own grub-mkconfig, and looked at before it takes the old one's place

The program prints it; what it prints is written by us, as a whole or not at all. It sees the disks under the names that
they have here and with udev's links by UUID: without these it would name the root by a device that the instance calls
otherwise.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence

from helper_agent.api import Context, TaskError
from helper_agent.boot import grub_cfg
from helper_agent.disk import devices, partitions
from helper_agent.disk.signatures import Signature
from helper_agent.image_programs import CAPTURE_MAX
from helper_agent.run import CommandFailed

MADE = "### BEGIN /etc/grub.d/"
"""What a configuration has in it that grub-mkconfig has made, other than one that only leads to another."""
TIMEOUT = 500.0
"""Seconds; under emulation one kernel takes half a minute, on a busy machine two."""
REMEDY = "leave out regenerate_grub: arguments and UUIDs are changed without it as well"


def configuration(context: Context, program: str) -> str:
    """What grub-mkconfig prints

    Raises:
        TaskError: it fails, or prints what can't be right
    """
    here = _here(context)
    links = _links(here)
    nodes = sorted({*context.devices.disks.values(), *(one.device for one in here)})
    # It reads the disk past the mounted filesystem
    os.sync()
    try:
        done = context.run_in_image(
            [program], timeout=TIMEOUT, env={"GRUB_DISABLE_OS_PROBER": "true"}, devices=nodes, links=links
        )
    except CommandFailed as error:
        raise TaskError(f"The image's {program} failed: {error}", REMEDY, output=error.output) from None
    text = done.stdout.decode("utf-8", "surrogateescape")
    if why := objection(text, nodes, {one.uuid.lower() for one in here}):
        said = done.stderr.decode("utf-8", "replace")
        raise TaskError(f"What the image's {program} has made can't be used: {why}", REMEDY, output=said[-4000:])
    return text


def _links(here: Sequence[Signature]) -> dict[str, str]:
    """udev's names of disks; some headers (LUKS) have any text for a UUID, ../../etc/passwd too"""
    links = {f"/dev/disk/by-uuid/{one.uuid}": one.device for one in here}
    links |= {f"/dev/disk/by-partuuid/{one.partuuid}": one.device for one in here}
    return {path: device for path, device in links.items() if re.fullmatch(r"/dev/disk/by-\w+/[0-9A-Za-z-]+", path)}


def targets(context: Context, default: str) -> list[str]:
    """The files that are made by grub-mkconfig: on EFI systems one may be on the ESP"""
    root = context.root
    there = [path for pattern in grub_cfg.PATHS for path in root.glob(pattern) if root.is_file(path)]
    return [path for path in there if MADE in root.read_text(path)] or [default]


def objection(text: str, nodes: Sequence[str], uuids: Collection[str]) -> str:
    """Why a configuration can't be right, "" where nothing speaks against it

    Args:
        nodes: how the helper calls the disks and their partitions
        uuids: of the filesystems that are there
    """
    if len(text.encode("utf-8", "surrogateescape")) >= CAPTURE_MAX:
        return "it is more than 1 MiB"
    if not grub_cfg.has_kernels(text) and "blscfg" not in text:
        return "it has no entry that boots a kernel"
    for node in nodes:
        if re.search(rf"root={node}\b", text):
            return f"it has root={node}, which is another device's name in the instance (GRUB_DISABLE_LINUX_UUID?)"
    named = re.findall(r"root=UUID=([0-9A-Fa-f-]+)", text)
    for line in text.split("\n"):
        # An expression for both would look at a long line again and again
        _, search, rest = line.partition("--fs-uuid")
        if search and (found := re.search(r"\b[0-9A-Fa-f]{4,8}(?:-[0-9A-Fa-f]{4,12})+", rest)):
            named.append(found[0])
    unknown = sorted({one for one in named if one.lower() not in uuids})
    return f"it has the UUID {unknown[0]}, which no filesystem on the instance's disks has" if unknown else ""


def _here(context: Context) -> list[Signature]:
    """What is on the disks now: tasks may have made partitions and changed UUIDs since the disks were inspected"""
    return [
        one for disk in context.devices.disks.values() for one in devices.signatures(disk, partitions.read_disk(disk))
    ]
