"""snf-image's image properties: the OS parameters `img_properties` and `inst_properties`, JSON objects

Their names mean the same in any case, and `inst_properties` overrides `img_properties`. Few of them are acted on here;
all of them reach programs as SNF_IMAGE_PROPERTY_NAME.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from helper_agent import snf
from helper_host.ganeti import disk_values, values
from helper_host.ganeti.values import Invalid

if TYPE_CHECKING:
    from helper_host.custom_task import Custom
    from helper_host.tasks import Tasks

NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,199}")
"""What can be the name of an environment variable."""
FORM = 'give a JSON object, its commas as \\, on the command line: {"OSFAMILY":"linux"\\,"USERS":"root"}'
EXCLUDE_ALL, EXCLUDE_MOUNTED, EXCLUDE_RESIZE = (
    "EXCLUDE_ALL_TASKS",
    "EXCLUDE_MOUNTED_TASKS",
    "EXCLUDE_FILESYSTEMRESIZE_TASKS",
)
EXCLUDE = "EXCLUDE_TASK_"
OVERWRITING = "ALLOW_MOUNTED_TASK_OVERWRITING"
CUSTOM = "CUSTOM_TASK"
SWAP = "SWAP"
HASHING = "PASSWD_HASHING_METHOD"
YES_MEANS: Mapping[str, tuple[str, Any]] = {
    "CLOUD_INIT": ("cloud_init", "yes"),
    "NM_NETWORKING": ("network_renderer", "networkmanager"),
}
"""Property that is a flag -> the OS parameter that says the same, and its value."""
FLAGS = (EXCLUDE_ALL, EXCLUDE_MOUNTED, EXCLUDE_RESIZE, OVERWRITING, *YES_MEANS)
ACTED_ON = (*FLAGS, CUSTOM, HASHING, "OSFAMILY", "ROOT_PARTITION", SWAP, "USERS")


class Properties(NamedTuple):
    """One parameter's properties, names in upper case"""

    items: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        # programs and whatever else people put there
        return f"Properties({', '.join(name for name, _ in self.items)})"


def parse(text: str) -> Properties:
    """The properties

    Raises:
        Invalid: no JSON object, one with a name twice, or a value that no environment can carry
    """
    try:
        # nested objects too come as pairs; they become text again
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"is not JSON ({getattr(error, 'msg', type(error).__name__)})", FORM) from None
    if not isinstance(pairs, _Pairs):
        raise Invalid("is JSON, but no object", FORM)
    try:
        found = _named(pairs)
    except RecursionError:
        raise Invalid("has objects or lists too deep in each other", FORM) from None
    _check(found)
    return Properties(tuple(found.items()))


def _named(pairs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for given, value in pairs:
        name = _name(given)
        if name in found:
            raise Invalid(f"has {values.quote(given, 40)} twice", "give it once; capitals make no difference")
        found[name] = _text(given, value)
    return found


class _Pairs(list[tuple[str, Any]]):
    """A JSON object, its names as often as they are there"""


def _name(given: str) -> str:
    name = given.upper()
    # EXCLUDE_TASK_host-keys: no environment has such a name
    return re.sub("[.-]", "_", name) if name.startswith(EXCLUDE) else name


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else value if isinstance(value, str) else json.dumps(_plain(value))
    if "\0" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise Invalid(f"has for {values.quote(name, 40)} a text with NUL or a half character in it", "correct it")
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, _Pairs):
        return {name: _plain(item) for name, item in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _check(found: Mapping[str, str]) -> None:
    """Those that are acted on, by the rules of our own parameters"""
    for name, parser in _PARSERS.items():
        if found.get(name, "").strip():
            try:
                parser(found[name])
            except Invalid as invalid:
                raise Invalid(f"has for {name} a value that {invalid.why}", invalid.remedy) from None


def _custom(text: str) -> Custom | None:
    from helper_host import custom_task

    return custom_task.parse(text)


def _hashing(text: str) -> str:
    from helper_host.ganeti import passwords

    if text.strip() not in passwords.NAMED:
        raise Invalid("is not known", f"give one of {', '.join(passwords.NAMED)}")
    return text.strip()


_PARSERS = {
    "OSFAMILY": values.os_family,
    "ROOT_PARTITION": values.root_partition,
    SWAP: disk_values.snf_swap,
    "USERS": values.users,
    CUSTOM: _custom,
    HASHING: _hashing,
}


class Wishes(NamedTuple):
    """What the properties of a call ask for; the user's own parameters override it"""

    all: Mapping[str, str] = {}
    """Every property that an environment can carry."""
    os_family: str = ""
    root_partition: str = ""
    users: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {}
    """Values of OS parameters that mean the same, for those that are not set."""
    custom: Custom | None = None
    remarks: tuple[str, ...] = ()
    """Warnings."""

    def flag(self, name: str) -> bool:
        """Whether a property says yes; what is neither yes nor no is a yes for snf-image"""
        return name in self.all and snf.flag(self.all[name]) is not False


def read(image: Properties | None, instance: Properties | None) -> Wishes:
    """What both parameters ask for together"""
    found = {**dict(image.items if image else ()), **dict(instance.items if instance else ())}
    given: dict[str, Any] = {
        name: parser(found[name]) for name, parser in _PARSERS.items() if found.get(name, "").strip()
    }
    return Wishes(
        {name: value for name, value in found.items() if NAME.fullmatch(name)},
        given.get("OSFAMILY", ""),
        given.get("ROOT_PARTITION", ""),
        given.get("USERS", ()),
        _as_parameters(found, given),
        given.get(CUSTOM),
        tuple(_remarks(found)),
    )


def _as_parameters(found: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    meant: dict[str, Any] = {"swap": given[SWAP]} if SWAP in given else {}
    for name, (parameter, value) in YES_MEANS.items():
        if name in found and snf.flag(found[name]) is not False:
            meant[parameter] = value
    return meant


def _remarks(found: Mapping[str, str]) -> Iterable[str]:
    flags = [name for name in found if name in FLAGS or name.startswith(EXCLUDE)]
    for name in flags:
        if snf.flag(found[name]) is None:
            yield f"The image property {name} is neither yes nor no, and taken for a yes"
    rest = [name for name in found if name not in ACTED_ON and not name.startswith(EXCLUDE)]
    if rest:
        yield f"Image properties that nothing here acts on: {', '.join(rest)}"


def excluded(wishes: Wishes, tasks: Tasks) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the tasks that EXCLUDE_* leave out, and warnings about those that name none"""
    names: list[str] = []
    remarks = []
    if wishes.flag(EXCLUDE_MOUNTED):
        names += [row.task.name for row in tasks.rows if row.task.phase == "filesystems"]
    if wishes.flag(EXCLUDE_RESIZE):
        names += snf.FILESYSTEM_RESIZE
    for name in wishes.all:
        if name.startswith(EXCLUDE) and wishes.flag(name):
            wanted = name.removeprefix(EXCLUDE)
            meant = _meant(wanted, tasks)
            names += meant
            if not meant and wanted not in (one.upper() for one in snf.WITHOUT_OURS):
                remarks.append(f"The image property {name} names no task, neither of snf-image's nor of ours")
    return tuple(name for name in dict.fromkeys(names) if tasks.find(name)), tuple(remarks)


def _meant(name: str, tasks: Tasks) -> list[str]:
    """Our tasks for snf-image's name, or for one of ours: HOST_KEYS is host-keys"""
    own = [task for task in tasks.names if re.sub("[.-]", "_", task).upper() == name]
    return own or list(snf.ours(name))
