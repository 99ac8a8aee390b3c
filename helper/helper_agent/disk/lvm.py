"""LVM: which volumes lie on the instance's disks, opened and grown by lvm's own tools

lvm is told which devices there are, and looks at no others. Looking writes nothing, and no metadata changes before
something grows. Only what is plain is opened, linear and striped volumes: a mirror, a RAID, a snapshot or a thin pool
would start to work, and write, as soon as it is there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

from helper_agent.api import Logger
from helper_agent.disk import mapper
from helper_agent.disk.signatures import Layer, Signature
from helper_agent.filesystems.base import Run
from helper_agent.records import NamedTuple
from helper_agent.run import CommandFailed

CONFIG = (
    "devices { use_devicesfile=0 external_device_info_source=none obtain_device_list_from_udev=0 scan_lvs=0"
    " md_component_detection=0 multipath_component_detection=0 } "
    "activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 } "
    "backup { backup=0 archive=0 } "
    "global { use_lvmpolld=0 event_activation=0 system_id_source=none }"
)
"""lvm.conf(5): there is no udev, no daemon and no /etc/lvm."""
ENVIRONMENT = {**mapper.ENVIRONMENT, "LVM_SYSTEM_DIR": "", "LVM_SUPPRESS_FD_WARNINGS": "1"}
PLAIN = ("linear", "striped")
VOLUMES_MAX = 256
_NAME = r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,127}"
"""lvm(8), VALID NAMES; one that begins with a hyphen would be an option."""


class Volume(NamedTuple):
    """A logical volume"""

    group: str
    group_id: str
    name: str
    layout: str
    role: str
    missing: int
    """Physical volumes that the group lacks."""
    on: tuple[str, ...]
    """Device paths of the physical volumes that it uses."""

    @property
    def title(self) -> str:
        """GROUP/VOLUME"""
        return f"{self.group}/{self.name}"

    @property
    def mapping(self) -> str:
        """Name of its mapping"""
        return f"{self.group.replace('-', '--')}-{self.name.replace('-', '--')}"


def volumes(physical: Sequence[Signature], run: Run) -> list[Volume]:
    """The logical volumes on the devices `physical`

    Raises:
        TaskError: E-VOLUME
    """
    _refuse_copies(physical)
    mapper.load()
    fields = "vg_name,vg_uuid,vg_missing_pv_count,lv_name,lv_layout,lv_role,devices"
    rows = _report("lvs", fields, [one.device for one in physical], run)
    found: dict[tuple[str, str], Volume] = {}
    for row in rows:
        on = tuple(re.findall(r"(?:^|,)([^,(]+)\(\d+\)", row["devices"]))
        missing = int(row["vg_missing_pv_count"] or 0)
        one = Volume(row["vg_name"], row["vg_uuid"], row["lv_name"], row["lv_layout"], row["lv_role"], missing, on)
        before = found.get((one.group_id, one.name))
        # A row for each of its segments
        found[one.group_id, one.name] = before._replace(on=tuple(dict.fromkeys((*before.on, *on)))) if before else one
    return list(found.values())


def choose(found: Iterable[Volume], log: Logger) -> list[Volume]:
    """Those that are opened

    Raises:
        TaskError: E-VOLUME, names that no volume can have, or two groups of one name
    """
    chosen: list[Volume] = []
    groups: dict[str, str] = {}
    for one in found:
        if not re.fullmatch(_NAME, one.group) or not re.fullmatch(_NAME, one.name) or one.group in (".", ".."):
            raise mapper.broken("A volume group or a volume of LVM has a name that it can't have")
        if groups.setdefault(one.group, one.group_id) != one.group_id:
            raise mapper.broken(
                f"Two volume groups on the instance's disks are named {one.group}",
                "rename one with vgrename, or take one of the disks away",
            )
        if why := _unfit(one):
            log.warning(f"The LVM volume {one.title} is left out: {why}")
        else:
            chosen.append(one)
    for group in groups:
        if os.path.lexists(f"/dev/{group}"):
            raise mapper.broken(f"The volume group {group} is named as a device is", "rename it with vgrename")
    if len(chosen) > VOLUMES_MAX:
        log.warning(f"There are {len(chosen)} LVM volumes, the first {VOLUMES_MAX} are opened")
    return chosen[:VOLUMES_MAX]


def _unfit(one: Volume) -> str:
    if one.missing:
        return f"its volume group lacks {one.missing} physical volumes"
    if one.role != "public" or one.layout not in PLAIN:
        return f"it is {one.layout} ({one.role}), the helper opens {' and '.join(PLAIN)} ones"
    return ""


def activate(chosen: Sequence[Volume], physical: Sequence[Signature], run: Run) -> None:
    """Make the volumes' devices

    Raises:
        TaskError: E-VOLUME
    """
    titles = [one.title for one in chosen]
    _lvm(["lvchange", "--activate", "y", *titles], [one.device for one in physical], run)


def grow(layer: Layer, run: Run, log: Logger) -> None:
    """The physical volumes of disk 0 to their partitions' size, the volume of `layer`, if any, to what is free on them

    Raises:
        TaskError: E-VOLUME
    """
    _lvm(["pvresize", *layer.below], [], run)
    if not layer.name:
        return
    rows = _report("pvs", "pv_name,pv_pe_count,pv_pe_alloc_count", [], run)
    free = {row["pv_name"]: int(row["pv_pe_count"]) - int(row["pv_pe_alloc_count"]) for row in rows}
    room = [device for device in layer.below if free.get(device, 0) > 0]
    if not room:
        log.debug(f"The LVM volume {layer.name} has all of its physical volumes already")
        return
    _lvm(["lvextend", "--extents", "+100%FREE", layer.name, *room], [], run)


def _refuse_copies(physical: Sequence[Signature]) -> None:
    """Two devices that say they are the same physical volume: lvm would choose one

    Raises:
        TaskError: E-VOLUME
    """
    seen: dict[str, str] = {}
    for one in physical:
        if one.uuid in seen:
            raise mapper.broken(
                f"{seen[one.uuid]} and {one.device} are the same LVM physical volume by their UUIDs",
                "one is a copy: take it away, or give it an identity of its own with vgimportclone",
            )
        seen[one.uuid] = one.device


def _report(command: str, fields: str, devices: Sequence[str], run: Run) -> list[dict[str, str]]:
    argv = [command, "--reportformat", "json", "--options", fields]
    text = _lvm(argv, devices, run)
    try:
        report: Any = json.loads(text)
        rows: list[dict[str, str]] = report["report"][0]["lv" if command == "lvs" else "pv"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise mapper.broken(f"lvm's answer to {command} can't be read", "this is a fault of the helper") from None
    return rows


def _lvm(arguments: Sequence[str], devices: Sequence[str], run: Run) -> str:
    command, *rest = arguments
    only = [part for device in devices for part in ("--devices", device)]
    try:
        done = run(["lvm", command, "--config", CONFIG, *only, *rest], env=ENVIRONMENT)
    except CommandFailed as error:
        raise mapper.broken(
            f"LVM on the disk can't be used: lvm {command} ended with {error.reason}",
            "check it with vgck on the machine that made the image",
            output=error.output,
        ) from None
    return str(done.text)
