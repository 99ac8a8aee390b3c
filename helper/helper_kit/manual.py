"""The manual of one task, made from its declaration: for `task show`, and for the manual's page of built-in tasks"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from helper_agent.declaration import KIND_WORDS, PRIVILEGES, TIMEOUT, Option, Task

if TYPE_CHECKING:
    from typing import Protocol

    class Documented(Protocol):
        """Whatever knows a task: a `taskfile.TaskFile`, or the node's record of one"""

        @property
        def task(self) -> Task: ...
        @property
        def kind(self) -> str: ...
        @property
        def heading(self) -> str: ...
        @property
        def manual(self) -> str: ...
        @property
        def source(self) -> str: ...


BUILT_IN = "built-in"
"""Source of the tasks that come with the helper, in the helper image's manifest too."""
PHASES = {
    "devices": "on the disks, before anything of the image is mounted",
    "filesystems": "on the image's mounted tree",
}
EXAMPLES: dict[str, str] = {"str": "text", "int": "5", "bool": "yes", "list": "one,two"}
"""Values for the example of an option without a default, by kind."""


def task_page(item: Documented, *, level: int = 2) -> str:
    """The manual of one task, in Markdown; `level` is its heading's"""
    blocks = [f"{'#' * level} `{item.task.name}`", f"{item.heading}."]
    if item.manual:
        blocks.append(item.manual)
    blocks.append("\n".join(f"- {label}: {text}" for label, text in facts(item)))
    if item.task.options:
        blocks.append("\n".join(_table(item.task.options)))
        if item.source != BUILT_IN:
            blocks.append(f"Example: `{example(item.task)}`")
    return "\n\n".join(blocks) + "\n"


def task_text(item: Documented) -> str:
    """The manual of one task, for a terminal"""
    lines = [f"{item.task.name}: {item.heading}", ""]
    if item.manual:
        lines += [item.manual, ""]
    lines += [f"{label + ':':12} {text.replace('`', '')}" for label, text in facts(item)]
    if item.task.options:
        lines += ["", "options:"]
        for option in item.task.options:
            lines += [f"  {option.name} ({_about(option)})", f"      {option.help}"]
        if item.source != BUILT_IN:
            lines += ["", "example:", f"  {example(item.task)}"]
    return "\n".join(lines) + "\n"


def facts(item: Documented) -> Iterator[tuple[str, str]]:
    """What a declaration says beside heading and options, as label and text; what is usual is left out"""
    task = item.task
    yield "runs", f"{PHASES[task.phase]}; at {' and '.join(task.actions) or 'no action'}"
    for label, names in (("after", task.after), ("before", task.before)):
        if names:
            yield label, ", ".join(f"`{name}`" for name in names)
    if task.needs:
        yield "when", f"one of {', '.join(f'`{name}`' for name in task.needs)} is set"
    yield "for", _systems(task)
    if task.optional:
        yield "optional", "a failure is a warning; what it wrote is taken back"
    if task.timeout != TIMEOUT or task.api:
        yield "time limit", f"{task.timeout:g} s"
    for name in task.privileges:
        yield "privilege", f"`{name}`: it {PRIVILEGES[name]}"
    if task.api:
        yield "task API", f"version {task.api}"
    if item.source == BUILT_IN:
        yield "file", "comes with the helper"
    else:
        yield "file", f"`{item.source.rpartition('/')[2]}`, {'Python' if item.kind == 'python' else 'a program'}"


def example(task: Task) -> str:
    """How the first option is set as an OS parameter; built-in tasks have parameters of their own for most"""
    option = task.options[0]
    value = _shown(option.default) if option.default not in (None, "", (), []) else EXAMPLES[option.kind]
    # Ganeti splits at commas
    text = shlex.quote(value).replace(",", "\\,")
    parameter = "--os-parameters-secret 'task_secrets" if option.secret else "-O 'task_options"
    return f"{parameter}={task.name}.{option.name}={text}'"


def _systems(task: Task) -> str:
    families = ", ".join(task.families) or "every OS family"
    return f"{families} ({', '.join(task.distros)})" if task.distros else families


def _table(options: tuple[Option, ...]) -> Iterator[str]:
    yield from ("| option | value | default | meaning |", "|---|---|---|---|")
    for option in options:
        secret = ", secret" if option.secret else ""
        default = f"`{_shown(option.default)}`" if option.default is not None else "none"
        text = option.help.replace("|", "\\|")
        yield f"| `{option.name}` | {KIND_WORDS[option.kind]}{secret} | {default} | {text} |"


def _about(option: Option) -> str:
    secret = ", secret" if option.secret else ""
    default = f", default {_shown(option.default)}" if option.default is not None else ""
    return f"{KIND_WORDS[option.kind]}{secret}{default}"


def _shown(value: Any) -> str:
    """A default, as one would type it"""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(value)
    return str(value)
