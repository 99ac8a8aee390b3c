"""From OS parameters to the tasks' options: what needs the node's CPU or randomness is made here"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from helper_host.ganeti import account_options, cloud_options, disk_options
from helper_host.ganeti.facts import Facts
from helper_host.ganeti.parameters import Parameters

Options = dict[str, Any]

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


def task_options(
    parameters: Parameters, *, wanted: Collection[str], instance: Facts | None = None, hashing: str = ""
) -> TaskOptions:
    """The options of the tasks `wanted`. Takes up to a second of CPU: call it in a thread

    Args:
        hashing: the method for passwords, one of `passwords.NAMED`; "" for our own choice

    Raises:
        ProviderError: E-NODE
    """
    fingerprints: list[str] = []
    facts = instance or Facts()
    makers: dict[str, Callable[[], Options]] = {
        "create-users": lambda: account_options.create_users(parameters),
        "password": lambda: account_options.password(parameters, hashing),
        "ssh-login": lambda: account_options.ssh_login(parameters),
        "host-keys": lambda: _host_keys(parameters.hostname or facts.name, fingerprints),
        **disk_options.makers(parameters, wanted, facts),
        "make-locale": lambda: {"lang": parameters.locale} if parameters.locale else {},
        "cloud-init": lambda: cloud_options.cloud_init(parameters),
        "cloud-seed": lambda: cloud_options.cloud_seed(parameters, facts.name, facts.uuid),
        "network": lambda: cloud_options.network(parameters) if "cloud-init" in wanted else {},
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


def _host_keys(hostname: str, fingerprints: list[str]) -> Options:
    from helper_host.ganeti import host_keys

    keys = host_keys.make(hostname.partition(".")[0])
    fingerprints += [key.fingerprint for key in keys]
    return {"private_keys": [key.private for key in keys], "public_keys": [key.public for key in keys]}
