"""From OS parameters to the tasks' options: what needs the node's CPU or randomness is made here"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from helper_host.ganeti.parameters import Parameters
from helper_host.ganeti.values import Swap

Options = dict[str, Any]

SETS: Mapping[str, tuple[str, ...]] = {
    "hostname": ("hostname.name",),
    "users": ("password.users", "ssh-keys.users"),
    "password": ("password.hashes",),
    "password_hash": ("password.hashes",),
    "ssh_keys": ("ssh-keys.keys",),
    "dns_servers": ("network.dns_servers",),
    "dns_search": ("network.dns_search",),
    "swap": ("swap-partition.size_mib", "swap-partition.uuid", "swap.file_mib", "swap.partition_uuid"),
}
"""OS parameter -> the options, TASK.OPTION, that it is the way to set."""


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
        "hostname": lambda: _hostname(parameters),
        "password": lambda: _password(parameters),
        "ssh-keys": lambda: _ssh_keys(parameters),
        "host-keys": lambda: _host_keys(parameters.hostname or name, fingerprints),
        "network": lambda: _network(parameters),
        "swap-partition": lambda: _swap_partition(parameters.swap, identity),
        "swap": lambda: _swap(parameters.swap, identity),
    }
    made = {task: make() for task, make in makers.items() if task in wanted}
    return TaskOptions({task: options for task, options in made.items() if options}, tuple(fingerprints))


def _hostname(parameters: Parameters) -> Options:
    return {"name": parameters.hostname} if parameters.hostname else {}


def _password(parameters: Parameters) -> Options:
    if parameters.password_hash:
        return {"hashes": [parameters.password_hash]}
    if parameters.password:
        from helper_host.ganeti import passwords

        return {"hashes": list(passwords.hashes(parameters.password))}
    return {}


def _ssh_keys(parameters: Parameters) -> Options:
    return {"keys": list(parameters.ssh_keys)} if parameters.ssh_keys else {}


def _host_keys(hostname: str, fingerprints: list[str]) -> Options:
    from helper_host.ganeti import host_keys

    keys = host_keys.make(hostname.partition(".")[0])
    fingerprints += [key.fingerprint for key in keys]
    return {"private_keys": [key.private for key in keys], "public_keys": [key.public for key in keys]}


def _network(parameters: Parameters) -> Options:
    options: Options = {"dns_servers": list(parameters.dns_servers), "dns_search": list(parameters.dns_search)}
    return {name: items for name, items in options.items() if items}


def _swap_partition(swap: Swap | None, identity: str) -> Options:
    return {"size_mib": swap.mib, "uuid": identity} if swap is not None and swap.kind == "partition" else {}


def _swap(swap: Swap | None, identity: str) -> Options:
    if swap is None:
        return {}
    return {"file_mib": swap.mib} if swap.kind == "file" else {"partition_uuid": identity}
