"""From OS parameters to the tasks' options: what needs the node's CPU or randomness is made here"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from helper_host.ganeti.parameters import Parameters
from helper_host.ganeti.values import Swap

Options = dict[str, Any]

SETS: Mapping[str, tuple[str, ...]] = {row.name: row.sets for row in Parameters.rows.values() if row.sets}
"""OS parameter -> the options, TASK.OPTION, that it is the way to set."""

NEW_UUIDS = ("new-uuids", "follow-uuids")


class TaskOptions(NamedTuple):
    """Options of the tasks of one run"""

    options: dict[str, Options]
    """Task -> option -> value; only what was set."""
    fingerprints: tuple[str, ...]
    """Of the new SSH host keys, for the log."""

    def __repr__(self) -> str:
        return f"TaskOptions({', '.join(self.options)})"


def task_options(parameters: Parameters, *, wanted: Collection[str], name: str = "localhost") -> TaskOptions:
    """The options of the tasks `wanted`; `name` is the instance's. Takes up to a second of CPU: call it in a thread

    Raises:
        ProviderError: E-NODE
    """
    fingerprints: list[str] = []
    identity = str(uuid.uuid4())
    makers: dict[str, Callable[[], Options]] = {
        "password": lambda: _password(parameters),
        "host-keys": lambda: _host_keys(parameters.hostname or name, fingerprints),
        "swap-partition": lambda: _swap_partition(parameters.swap, identity),
        "swap": lambda: _swap(parameters.swap, identity),
        **dict.fromkeys(NEW_UUIDS, lambda: _new_uuids(parameters.new_uuids, wanted, identity)),
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


def _swap_partition(swap: Swap | None, identity: str) -> Options:
    return {"size_mib": swap.mib, "uuid": identity} if swap is not None and swap.kind == "partition" else {}


def _swap(swap: Swap | None, identity: str) -> Options:
    if swap is None:
        return {}
    return {"file_mib": swap.mib} if swap.kind == "file" else {"partition_uuid": identity}


def _new_uuids(asked: bool, wanted: Collection[str], identity: str) -> Options:
    """Both tasks or none: where the second is skipped, the instance would not boot after the first"""
    return {"seed": identity} if asked and all(task in wanted for task in NEW_UUIDS) else {}
