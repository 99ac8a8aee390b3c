"""The tables of a settings file: defaults for OS parameters, and options of tasks"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from helper_host.errors import ProviderError

PARAMETERS, TASKS = "parameters", "tasks"
"""Their names."""


class Given(NamedTuple):
    """A task's option as a file has it"""

    value: Any
    """str, int, bool or list of str; whether the task declares it so is seen later."""
    source: str
    """The file."""

    def __repr__(self) -> str:
        # it may be a secret
        return f"Given(..., {self.source!r})"


TaskTables = dict[str, dict[str, Given]]
"""Task -> option -> value."""


def parameters(path: str, table: object) -> dict[str, str]:
    """Defaults for OS parameters, as the texts that `-O` would carry

    Raises:
        ProviderError: E-SETTINGS
    """
    from helper_host.ganeti import parameters

    if not isinstance(table, Mapping):
        raise bad(path, f"{PARAMETERS} must be a table", f"write [{PARAMETERS}] on a line of its own")
    result = {}
    for name, value in table.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            row = parameters.by_name().get(name)
            result[name] = ("\n" if row is not None and row.lines else " ").join(value)
        elif type(value) in (str, int):
            result[name] = str(value)
        else:
            raise bad(path, f"[{PARAMETERS}] {name} must be a text, a number or a list of texts", "correct it")
    try:
        parameters.parse_values(result)
    except ProviderError as error:
        raise bad(path, f"[{PARAMETERS}]: {error.cause}", error.remedy) from None
    return result


def tasks(path: str, table: object, into: TaskTables) -> None:
    """Options of tasks: [tasks."org.example.motd"], each of which overrides what `into` has

    Raises:
        ProviderError: E-SETTINGS
    """
    from helper_agent import description

    try:
        options = description.task_options(table, TASKS)
    except description.DescriptionError as error:
        raise bad(path, str(error), f'write [{TASKS}."org.example.motd"] and below it option = value') from None
    for task, values in options.items():
        into.setdefault(task, {}).update({name: Given(value, path) for name, value in values.items()})


def bad(path: str, cause: str, remedy: str) -> ProviderError:
    """E-SETTINGS for a file"""
    return ProviderError("E-SETTINGS", f"{path} {cause}", remedy)
