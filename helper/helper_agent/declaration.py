"""What a task declares about itself: the record, what may stand in it, and its form as plain data

Both ends use this module: the node checks options before it writes anything, the agent checks them again. A declaration
travels as plain data (JSON) in the helper image's manifest and in the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helper_agent.job import CONTENT_MAX
from helper_agent.records import NamedTuple
from helper_agent.strict_json import INT_MAX

API_VERSION = 1
"""Of `helper_agent.api`. It rises when something in it changes; a task that names an older one goes on working."""

KINDS = ("str", "int", "bool", "list", "bytes")
KIND_WORDS: Mapping[str, str] = {
    "str": "text",
    "int": "a whole number",
    "bool": "true or false",
    "list": "a list of texts",
    "bytes": "bytes, as base64 where it is written down",
}
PHASES = ("devices", "filesystems")
ACTIONS = ("create", "rename")
PRIVILEGES: Mapping[str, str] = {
    "tree-path": "gets the path below which the image is mounted, where its symlinks can lead out of it",
    "image-programs": "runs programs of the image, in namespaces of their own",
}
"""Ways out of the image's own namespace that a task has to declare, and what the log says of each."""
OWN_STEPS = ("inspect", "mount", "umount")
"""Steps of the agent itself; no task may have such a name."""
CUSTOM = "custom"
"""Name of a one-off task that declares none; it runs as the last one of its phase."""
TIMEOUT = 300.0
"""Seconds a task has unless it declares another limit."""
TIMEOUT_MAX = 86400.0


class DeclarationError(Exception):
    """A task's declaration says what can't be; the text follows the name of its file"""


class OptionError(Exception):
    """A value does not fit a task's declaration: `cause` names task and option, but no secret; `remedy` what to give"""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy


class Option(NamedTuple):
    """One option of a task"""

    name: str
    """Letters, digits and underscores."""
    kind: str
    """str, int, bool, list (of str), or bytes: what is too large, or no text; it can't have a default."""
    help: str
    """What it is for, in a few words: for the manual and for errors."""
    default: Any = None
    """Its value when nobody sets it; None: unset."""
    secret: bool = False
    """Never shown in an error or a log."""


class Task(NamedTuple):
    """What a task declares about itself"""

    name: str
    """Of a task that doesn't come with the helper: with a reverse-DNS prefix, org.example.motd."""
    phase: str
    """devices: nothing of the image is mounted, the task works on disks; filesystems: the image's tree is mounted."""
    after: tuple[str, ...] = ()
    """Names of tasks that, where they run at all, run before this one."""
    before: tuple[str, ...] = ()
    """Names of tasks that, where they run at all, run after this one."""
    options: tuple[Option, ...] = ()
    needs: tuple[str, ...] = ()
    """Options of which one at least must have a value; where none has, there is nothing to do, and the task is skipped
    before its module is even imported. Empty: it always has something to do."""
    families: tuple[str, ...] = ("linux",)
    """OS families it is for; empty: all."""
    distros: tuple[str, ...] = ()
    """os-release IDs (or ID_LIKE) it is for; empty: all."""
    actions: tuple[str, ...] = ("create",)
    """Runs it belongs to: create, rename."""
    optional: bool = False
    """A failure is a warning: what the task wrote through `context.root` is taken back, and the run goes on."""
    timeout: float = TIMEOUT
    """Seconds after which the task is ended and has failed."""
    privileges: tuple[str, ...] = ()
    """Ways out of the image's own namespace that it needs: tree-path, image-programs."""
    api: int = 0
    """The `API_VERSION` it was written for; only the tasks that come with the helper leave it out."""


def problem(task: Task, *, outside: bool = False) -> str:
    """What is wrong with a declaration, "" if nothing; `outside`: of a task that doesn't come with the helper"""
    return _wrong_type(task) or _wrong_value(task, outside) or _option_problem(task)


def _wrong_value(task: Task, outside: bool) -> str:
    names = [option.name for option in task.options]
    checks = (
        _name_problem(task.name, outside),
        "" if task.phase in PHASES else f"declares the phase {task.phase!r}, which is none of {', '.join(PHASES)}",
        _unknown("actions", task.actions, ACTIONS),
        _unknown("privileges", task.privileges, tuple(PRIVILEGES)),
        "" if len(set(names)) == len(names) else "declares an option twice",
        _unknown("needs", task.needs, tuple(names)),
        ""
        if 0 < task.timeout <= TIMEOUT_MAX
        else f"declares a timeout of {_shown(task.timeout)} s, not of 1 to {TIMEOUT_MAX:g}",
        _version_problem(task.api, outside),
    )
    return next((text for text in checks if text), "")


def _shown(value: object) -> str:
    """`value` for an error; Python refuses to spell numbers of thousands of digits, and what is deep in each other"""
    try:
        return f"{value!r:.200}"
    except ValueError:
        return "a number of thousands of digits"
    except RecursionError:
        return "tables too deep in each other"


def _wrong_type(task: Task) -> str:
    for field in ("after", "before", "needs", "families", "distros", "actions", "privileges"):
        value = getattr(task, field)
        if type(value) is not tuple or not all(type(item) is str for item in value):
            meant = f": ({_shown(value)},) would be one" if type(value) is str else ""
            return f"declares {field} = {_shown(value)}, which is no tuple of texts{meant}"
    if type(task.options) is not tuple or not all(isinstance(item, Option) for item in task.options):
        return "declares options that are no tuple of Option(...)"
    for field, kinds in (
        ("name", (str,)),
        ("phase", (str,)),
        ("optional", (bool,)),
        ("timeout", (int, float)),
        ("api", (int,)),
    ):
        if type(getattr(task, field)) not in kinds:
            return f"declares {field} = {_shown(getattr(task, field))}, which is of another type than it should be"
    for option in task.options:
        if type(option.name) is not str or not option.name.replace("_", "a").isalnum() or not option.name.isascii():
            return f"declares an option named {_shown(option.name)}; use letters, digits and underscores"
        if type(option.help) is not str or type(option.secret) is not bool:
            return f"declares for the option {option.name} a help that is no text, or secret as neither True nor False"
    return ""


def _name_problem(name: str, outside: bool) -> str:
    if name in OWN_STEPS:
        return f"declares the name {name}, a step of the agent's own"
    if not name or not all(one.isascii() and (one.islower() or one.isdigit() or one in "-.") for one in name):
        return f"declares the name {name!r}; use lower-case letters, digits, hyphens, and dots between"
    if len(name) > 100 or not all(name.split(".")):
        return f"declares the name {name!r}, which is too long or has an empty part"
    if outside and "." not in name and name != CUSTOM:
        return f"declares the name {name!r}; put a domain of yours in front, reversed: org.example.{name}"
    return ""


def _version_problem(api: int, outside: bool) -> str:
    if api > API_VERSION:
        wanted = _shown(api)
        return (
            f"was written for version {wanted} of the task API, this is version {API_VERSION}: install a newer helper"
        )
    if outside and api < 1:
        return f"doesn't name the version of the task API that it was written for: api={API_VERSION}"
    return ""


def _unknown(what: str, values: tuple[str, ...], known: tuple[str, ...]) -> str:
    wrong = sorted(set(values) - set(known))
    return f"declares {what} that don't exist: {', '.join(wrong)} (there are: {', '.join(known)})" if wrong else ""


def _option_problem(task: Task) -> str:
    for option in task.options:
        if option.kind not in KINDS:
            return f"declares the option {option.name} of the unknown kind {_shown(option.kind)}"
        if option.kind == "bytes" and option.default is not None:
            return f"declares a default for the option {option.name}, which as bytes can't have one"
        if option.default is not None and not fits(option.kind, option.default):
            bits = ", or one of more than 63 bits" if option.kind == "int" else ""
            return f"declares for the option {option.name} a default that is not {KIND_WORDS[option.kind]}{bits}"
    return ""


def fits(kind: str, value: Any) -> bool:
    """Whether `value` is of an option's `kind`"""
    if kind == "list":
        return isinstance(value, (list, tuple)) and all(map(_is_text, value))
    if kind == "bytes":
        return isinstance(value, bytes) and len(value) <= CONTENT_MAX
    if kind == "int":
        return type(value) is int and abs(value) <= INT_MAX
    return _is_text(value) if kind == "str" else type(value) is bool


def _is_text(value: Any) -> bool:
    """Whether it is text that can be written: a lone surrogate, which Python's literals can name, is none"""
    return type(value) is str and not any("\ud800" <= character <= "\udfff" for character in value)


def has_what_it_needs(task: Task, values: Mapping[str, Any]) -> bool:
    """Whether one of the options that `task` needs is set in `values`, or has a default; empty is not set"""
    defaults = {option.name: option.default for option in task.options}
    return not task.needs or any(values.get(name, defaults.get(name)) for name in task.needs)


def decoded(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as options have them, from how they are written down: bytes are base64 there

    Raises:
        OptionError: a text that is no base64
    """
    kinds = {option.name: option for option in task.options}
    result = dict(values)
    for name, value in values.items():
        if name in kinds and kinds[name].kind == "bytes" and isinstance(value, str):
            from base64 import b64decode

            try:
                result[name] = b64decode("".join(value.split()), validate=True)
            except ValueError:
                raise OptionError(
                    f"The option {name} of the task {task.name} is no base64", "give what `base64 -w0 FILE` prints"
                ) from None
    return result


def check_options(task: Task, values: Mapping[str, Any]) -> None:
    """Whether `values` are options that `task` declares

    Raises:
        OptionError: naming option and value, but not a secret's
    """
    declared = {option.name: option for option in task.options}
    for name, value in values.items():
        option = declared.get(name)
        if option is None:
            known = ", ".join(declared) or "none"
            raise OptionError(f"The task {task.name} has no option {name!r}", f"it has: {known}")
        if not fits(option.kind, value):
            quoted = "" if option.secret else f", not {_shown(value)}"
            raise OptionError(
                f"The option {name} of the task {task.name} takes {KIND_WORDS[option.kind]}{quoted}", option.help
            )


def plain(task: Task) -> dict[str, Any]:
    """`task` as data for JSON"""
    fields = {name: getattr(task, name) for name in task._fields}
    lists = {name: list(value) for name, value in fields.items() if isinstance(value, tuple)}
    return {**fields, **lists, "options": [dict(zip(each._fields, each, strict=True)) for each in task.options]}


def from_plain(data: Mapping[str, Any]) -> Task:
    """The task that `plain` made data of; a field of a later version that isn't known here is an error

    Raises:
        DeclarationError: unknown or missing fields, those of a later version named as such
    """
    api = data.get("api")
    if type(api) is int and (newer := _version_problem(api, False)):
        raise DeclarationError(newer)
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    try:
        options = tuple(Option(**each) for each in fields.get("options", ()))
        return Task(**{**fields, "options": options})
    except TypeError as error:
        raise DeclarationError(f"has a declaration of another form: {error}") from None
