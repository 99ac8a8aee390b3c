"""From OS parameters to the tasks' options: what needs the node's CPU or randomness is made here"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from helper_host.ganeti.disk_values import DataDisk
from helper_host.ganeti.parameters import Parameters
from helper_host.ganeti.values import Swap

Options = dict[str, Any]

NAMESPACE = "5c0e2d0e-6d1a-4f43-9a43-6f7c1f0d7b52"
"""Of the UUIDs that are made of others (RFC 4122, version 5)."""

SETS: Mapping[str, tuple[str, ...]] = {row.name: row.sets for row in Parameters.rows.values() if row.sets}
"""OS parameter -> the options, TASK.OPTION, that it is the way to set."""


class TaskOptions(NamedTuple):
    """Options of the tasks of one run"""

    options: dict[str, Options]
    """Task -> option -> value; only what was set."""
    fingerprints: tuple[str, ...]
    """Of the new SSH host keys, for the log."""

    def __repr__(self) -> str:
        return f"TaskOptions({', '.join(self.options)})"


class Facts(NamedTuple):
    """What of the instance options are made from"""

    name: str = "localhost"
    uuid: str = ""
    memory: int = 0
    """MiB."""


def task_options(parameters: Parameters, *, wanted: Collection[str], instance: Facts | None = None) -> TaskOptions:
    """The options of the tasks `wanted`. Takes up to a second of CPU: call it in a thread

    Raises:
        ProviderError: E-NODE
    """
    fingerprints: list[str] = []
    facts = instance or Facts()
    swap = Swapping(parameters.swap, facts)
    makers: dict[str, Callable[[], Options]] = {
        "password": lambda: _password(parameters),
        "host-keys": lambda: _host_keys(parameters.hostname or facts.name, fingerprints),
        "swap-partition": swap.partition,
        "swap-disk": swap.whole_disk,
        "swap": swap.used,
        "data-disks": lambda: _data_disks(parameters.data_disks, facts),
        "data-mounts": lambda: _data_disks(parameters.data_disks, facts),
    }
    made = {task: options for task, options in as_they_are(parameters).items() if task in wanted}
    for task, make in makers.items():
        if task in wanted and (options := make()):
            made.setdefault(task, {}).update(options)
    return TaskOptions(made, tuple(fingerprints))


def as_they_are(parameters: Parameters) -> dict[str, Options]:
    """Options that parameters set without further ado (`Parameter.option`)"""
    made: dict[str, Options] = {}
    for row in Parameters.rows.values():
        value = parameters.values.get(row.name)
        if row.option and value is not None and value not in ("", ()):
            task, _, option = row.option.rpartition(".")
            made.setdefault(task, {})[option] = list(value) if isinstance(value, tuple) else value
    return made


def _password(parameters: Parameters) -> Options:
    if parameters.password_hash:
        return {"hashes": [parameters.password_hash]}
    if parameters.password:
        from helper_host.ganeti import passwords

        return {"hashes": list(passwords.hashes(parameters.password))}
    return {}


def _host_keys(hostname: str, fingerprints: list[str]) -> Options:
    from helper_host.ganeti import host_keys

    keys = host_keys.make(hostname.partition(".")[0])
    fingerprints += [key.fingerprint for key in keys]
    return {"private_keys": [key.private for key in keys], "public_keys": [key.public for key in keys]}


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
