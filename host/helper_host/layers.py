"""Which value of a task's option wins

From the strongest to the weakest: `task_options` and `task_secrets`; the OS parameters with names of their own
(hostname=...), in which `users` counts for every task with an option of that name; the variant's [tasks.NAME];
config.toml's; the description beside the image; its `users`. What is in the image itself comes after these, and the
declared default last: the agent adds both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from helper_agent import declaration
from helper_agent.declaration import Task
from helper_host.ganeti import task_options
from helper_host.ganeti.options import SETS
from helper_host.ganeti.parameters import Parameters, error
from helper_host.ganeti.task_options import PARAMETER, SECRETS, Options
from helper_host.ganeti.values import Invalid
from helper_host.setting_tables import TASKS, TaskTables, bad
from helper_host.tasks import Tasks

USERS = "users"


class Layers(NamedTuple):
    """Options from all but the parameters with names of their own, checked"""

    above: Options
    """task_options and task_secrets."""
    below: Options
    """Settings, over the description's."""
    users: tuple[str, ...]
    """Whom the user names."""
    described_users: tuple[str, ...]
    """Whom the description names."""

    def __repr__(self) -> str:
        return f"Layers({', '.join((*self.above, *self.below))})"

    def has(self, task: str, option: str) -> bool:
        """Whether one of them sets an option"""
        return any(option in layer.get(task, {}) for layer in (self.above, self.below))


def from_parameters(
    parameters: Parameters, tasks: Tasks, warn: Callable[[str], None]
) -> tuple[Options, frozenset[str]]:
    """`Layers.above`, and the parameters that must not count: defaults of the settings for what it sets

    Raises:
        ProviderError: E-PARAMETER
    """
    public = _typed(parameters, PARAMETER, tasks)
    secret = _typed(parameters, SECRETS, tasks)
    for name in _flat(public):
        if name in _flat(secret):
            raise error(PARAMETER, f"sets {name}, which '{SECRETS}' sets too", "give it once")
        option = task_options.declared(tasks, *name.rsplit(".", 1))
        if option is not None and option.secret and parameters.given(PARAMETER):
            warn(f"{name} is a secret: give it in {SECRETS} with --os-parameters-secret, or Ganeti stores it")
    for parameter, layer in ((PARAMETER, public), (SECRETS, secret)):
        _settle(parameters, parameter, layer)
    above = {task: {**public.get(task, {}), **secret.get(task, {})} for task in (*public, *secret)}
    overridden = {name for name, sets in SETS.items() if name in parameters.defaults and {*sets} & {*_flat(above)}}
    return above, frozenset(overridden)


def _typed(parameters: Parameters, name: str, tasks: Tasks) -> Options:
    try:
        return task_options.typed(getattr(parameters, name), tasks, secrets=name == SECRETS)
    except Invalid as invalid:
        raise error(name, invalid.why, invalid.remedy) from None


def _settle(parameters: Parameters, name: str, layer: Options) -> None:
    """An option must not be set in two ways; a default of the settings gives way"""
    for other, sets in SETS.items():
        for option in {*sets} & {*_flat(layer)} if parameters.given(other) else ():
            if parameters.given(name):
                raise error(name, f"sets {option}, which '{other}' sets too", "give one of them")
            task, _, key = option.rpartition(".")
            del layer[task][key]


def _flat(options: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [f"{task}.{option}" for task, values in options.items() for option in values]


def from_settings(tables: TaskTables, tasks: Tasks) -> Options:
    """The settings' options

    Raises:
        ProviderError: E-SETTINGS, naming the file
    """
    result: Options = {}
    for name, table in tables.items():
        task = tasks.find(name)
        for option, given in table.items():
            if task is None:
                raise bad(
                    given.source, f"[{TASKS}] has options of a task that is not there: {name}", tasks.missing(name)
                )
            try:
                value = declaration.decoded(task, {option: given.value})
                declaration.check_options(task, value)
            except declaration.OptionError as refused:
                raise bad(given.source, f"[{TASKS}]: {refused.cause}", refused.remedy) from None
            result.setdefault(name, {}).update(value)
    return result


def merged(layers: Layers, made: Options, tasks: Tasks, wanted: Collection[str]) -> Options:
    """The options that the job carries; `made`: from the parameters with names of their own"""
    result: Options = {}
    for row in tasks.rows:
        name = row.task.name
        if name not in wanted:
            continue
        values = dict(layers.below.get(name, {}))
        if takes_users(row.task) and layers.users:
            values[USERS] = list(layers.users)
        values |= {**made.get(name, {}), **layers.above.get(name, {})}
        if takes_users(row.task) and layers.described_users:
            values.setdefault(USERS, list(layers.described_users))
        if values:
            result[name] = values
    return result


def takes_users(task: Task) -> bool:
    """Whether a task has the option that `users` fills"""
    return any(option.name == USERS and option.kind == "list" for option in task.options)
