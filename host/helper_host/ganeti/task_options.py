"""The OS parameters `task_options` and `task_secrets`: any option of any task

    task_options=org.example.motd.owner=example.org org.example.join.servers=a.example.org,b.example.org

Items are separated by blanks or newlines and quoted as a shell's words are. No error quotes an item that is not
understood: what belongs into `task_secrets` ends up in `task_options` easily.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from helper_agent.declaration import KIND_WORDS, Option
from helper_host.ganeti.values import FLAGS, Invalid, base64

if TYPE_CHECKING:
    from helper_host.tasks import Tasks

PARAMETER, SECRETS = "task_options", "task_secrets"
ITEM = re.compile(r"(?P<task>[a-z0-9][a-z0-9.-]{0,99})\.(?P<option>[A-Za-z0-9_]{1,100})=(?P<text>.*)", re.DOTALL)
INT = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
FORM = "give TASK.OPTION=value, several with blanks between, and between quotes what has blanks in it"

Options = dict[str, dict[str, Any]]
"""Task -> option -> value."""


class Item(NamedTuple):
    """One option, as it was typed"""

    number: int
    """Its place in the parameter, from 1."""
    task: str
    option: str
    text: str

    def __repr__(self) -> str:
        return f"{self.task}.{self.option}=..."


def parse(text: str) -> tuple[Item, ...]:
    """The items; which tasks and options there are is seen later

    Raises:
        Invalid: without any part of the value
    """
    try:
        words = shlex.split(text)
    except ValueError:
        raise Invalid("has a quote that is not closed, or ends in a backslash", FORM) from None
    items = []
    for number, word in enumerate(words, 1):
        match = ITEM.fullmatch(word)
        if match is None:
            raise Invalid(f"has a word that is not TASK.OPTION=value (word {number})", FORM)
        items.append(Item(number, match["task"], match["option"], match["text"]))
    return tuple(items)


def typed(items: Iterable[Item], tasks: Tasks, *, secrets: bool = False) -> Options:
    """The items as the tasks declare them; a list's add up

    Args:
        secrets: they are of `task_secrets`: no name that isn't known is quoted

    Raises:
        Invalid: an unknown task or option, a value that does not fit, or one given twice
    """
    result: Options = {}
    for item in items:
        option = _declared(item, tasks, secrets=secrets)
        value = _value(item, option, secret=secrets or option.secret)
        values = result.setdefault(item.task, {})
        if option.kind != "list" and item.option in values:
            raise Invalid(f"has {item.task}.{item.option} twice", "give it once")
        values[item.option] = [*values.get(item.option, []), *value] if option.kind == "list" else value
    return result


def declared(tasks: Tasks, task: str, name: str) -> Option | None:
    """An option's declaration, None if there is no such task or option"""
    found = tasks.find(task)
    return next((option for option in found.options if option.name == name), None) if found is not None else None


def _declared(item: Item, tasks: Tasks, *, secrets: bool) -> Option:
    task = tasks.find(item.task)
    if task is None:
        what = f"word {item.number}" if secrets else f"'{item.task}'"
        raise Invalid(
            f"has an option of a task that is not there ({what})", tasks.missing("" if secrets else item.task)
        )
    option = declared(tasks, item.task, item.option)
    if option is None:
        known = ", ".join(option.name for option in task.options) or "none"
        what = f"word {item.number}" if secrets else f"'{item.option}'"
        raise Invalid(f"has an option that the task {item.task} doesn't have ({what})", f"it has: {known}")
    return option


def _value(item: Item, option: Option, *, secret: bool) -> Any:
    text = item.text
    match option.kind:
        case "str":
            return text
        case "int" if INT.fullmatch(text.strip()):
            return int(text)
        case "bool" if text.strip().lower() in FLAGS:
            return FLAGS[text.strip().lower()]
        case "list":
            return [part.strip() for part in text.split(",") if part.strip()]
        case "bytes":
            try:
                return base64(text)
            except ValueError:
                pass
    given = "something" if secret else repr(text[:40])
    remedy = "give yes or no" if option.kind == "bool" else f"it is for: {option.help}"
    raise Invalid(f"sets {item.task}.{item.option} to {given}, which is not {KIND_WORDS[option.kind]}", remedy)
