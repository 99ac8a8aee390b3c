"""From OS parameters to the options of tasks that work on disks"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from helper_host.ganeti.disk_values import DataDisk
from helper_host.ganeti.facts import Facts
from helper_host.ganeti.parameters import Parameters
from helper_host.ganeti.values import Swap

Options = dict[str, Any]

NAMESPACE = "5c0e2d0e-6d1a-4f43-9a43-6f7c1f0d7b52"
"""Of the UUIDs that are made of others (RFC 4122, version 5)."""
GROWING = ("grow-partition", "grow-volumes", "grow-filesystem")
"""Tasks that `resize` tells what to grow."""
NEW_UUIDS = ("new-uuids", "follow-uuids")
"""Tasks that give new UUIDs, and see to what names the old ones."""


def makers(parameters: Parameters, wanted: Collection[str], instance: Facts) -> Mapping[str, Callable[[], Options]]:
    """Task -> what makes its options, for a run of the tasks `wanted`"""
    swap = Swapping(parameters.swap, instance)
    seed = str(uuid.uuid4())
    return {
        "swap-partition": swap.partition,
        "swap-disk": swap.whole_disk,
        "swap": swap.used,
        **dict.fromkeys(("data-disks", "data-mounts"), lambda: _data_disks(parameters.data_disks, instance)),
        **dict.fromkeys(GROWING, lambda: {"partition": parameters.resize} if parameters.resize else {}),
        **dict.fromkeys(NEW_UUIDS, lambda: _new_uuids(parameters.new_uuids, wanted, seed)),
    }


class Swapping:
    """Options of the tasks that make swap, and use it; what holds them together is a UUID"""

    def __init__(self, swap: Swap | None, instance: Facts) -> None:
        self._swap = swap or Swap("", 0)
        self._identity = disk_uuid(instance, self._swap.disk) if self._swap.disk else str(uuid.uuid4())
        self._mib = instance.memory if self._swap.of_memory else self._swap.mib

    def partition(self) -> Options:
        """Of `swap-partition`"""
        if self._swap.kind != "partition":
            return {}
        number = {"number": self._swap.number} if self._swap.number else {}
        return {"size_mib": self._mib, "uuid": self._identity, **number}

    def whole_disk(self) -> Options:
        """Of `swap-disk`"""
        return {"disk": self._swap.disk, "uuid": self._identity} if self._swap.kind == "disk" else {}

    def used(self) -> Options:
        """Of `swap`"""
        if self._swap.kind == "file":
            return {"file_mib": self._mib}
        return {f"{self._swap.kind}_uuid": self._identity} if self._swap.kind else {}


def disk_uuid(instance: Facts, index: int) -> str:
    """The UUID of what is on a whole disk: always the same, so that a reinstallation knows it again"""
    return str(uuid.uuid5(uuid.UUID(NAMESPACE), f"{instance.uuid}/disk/{index}"))


def _data_disks(disks: tuple[DataDisk, ...], instance: Facts) -> Options:
    items = [
        " ".join(filter(None, (str(one.disk), one.path, one.filesystem, disk_uuid(instance, one.disk), one.label)))
        for one in disks
    ]
    return {"disks": items} if items else {}


def _new_uuids(asked: bool, wanted: Collection[str], seed: str) -> Options:
    """Both tasks or none: where the second is skipped, the instance would not boot after the first"""
    return {"seed": seed} if asked and all(task in wanted for task in NEW_UUIDS) else {}
