"""The settings: one row each, read from config.toml and a variant's file

`Settings` below is the table: a row is a name, a parser, a default and a help text, and the attribute's type for
everybody who uses it. The commented example file and the manual follow from it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, overload

from helper_host import paths
from helper_host.errors import ProviderError

FILE = "config.toml"
VARIANTS = "variants"
VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
PARAMETERS = "parameters"
"""The table in either file that holds defaults for OS parameters."""
SIZE_MAX = 1 << 20
GIB = 1 << 30

T = TypeVar("T")


class Setting(Generic[T]):
    """One row; read as an attribute of `Settings` it is the value"""

    def __init__(self, parse: Callable[[object], T], default: T, text: str) -> None:
        self.parse = parse
        """Checks a value from TOML; ValueError says what it must be."""
        self.default = default
        self.help = text
        self.name = ""

    def __set_name__(self, owner: type[Settings], name: str) -> None:
        self.name = name
        owner.rows[name] = self

    @overload
    def __get__(self, instance: None, owner: type[Settings]) -> Setting[T]: ...
    @overload
    def __get__(self, instance: Settings, owner: type[Settings]) -> T: ...
    def __get__(self, instance: Settings | None, owner: type[Settings]) -> Setting[T] | T:
        if instance is None:
            return self
        value: T = instance.values.get(self.name, self.default)
        return value

    def __set__(self, instance: Settings, value: object) -> None:
        raise AttributeError("settings don't change; make others with changed()")


def _folder(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or ".." in value.split("/"):
        raise ValueError("must be an absolute path")
    return value.rstrip("/") or "/"


def _folders(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list of absolute paths, such as ["/srv/images"]')
    return tuple(_folder(item) for item in value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _accel(value: object) -> str:
    if value not in ("auto", "kvm", "tcg"):
        raise ValueError('must be "auto", "kvm" or "tcg"')
    return str(value)


def _memory(value: object) -> int:
    if type(value) is not int or not (value == 0 or 128 <= value <= 1 << 20):
        raise ValueError("must be a number of MiB, 128 or more, or 0")
    return value


def _seconds(value: object) -> float:
    if type(value) not in (int, float) or not 0 < value <= 1e6:  # type: ignore[operator]
        raise ValueError("must be a number of seconds, more than 0")
    return float(value)  # type: ignore[arg-type]


class Settings:
    """The settings; `values` holds what differs from the defaults, `parameters` the defaults for OS parameters"""

    rows: ClassVar[dict[str, Setting[Any]]] = {}

    image_store = Setting(_folder, f"{paths.STATE}/images", "The image store: image=debian-12 is looked for here")
    image_folders = Setting[tuple[str, ...]](
        _folders, (), "Other folders, below which image=/absolute/path may lie; everything else is refused"
    )
    helper_image = Setting(_folder, f"{paths.LIB}/image", "Folder of the helper image")
    qemu = Setting(_folder, "/usr/bin/qemu-system-x86_64", "QEMU, which runs the helper")
    accel = Setting(
        _accel,
        "auto",
        "How the helper runs: kvm, tcg (emulation), or auto: KVM where it works, else emulation. QEMU's authors don't\n"
        "call emulation a security boundary: where images aren't trusted, say kvm",
    )
    memory_mib = Setting(
        _memory, 0, "The helper's memory in MiB; 0: 256, and more where the largest disk has more than 800 GiB"
    )
    hello_timeout = Setting(_seconds, 10.0, "Seconds in which the helper must have started under KVM")
    hello_timeout_tcg = Setting(_seconds, 90.0, "Seconds in which the helper must have started under emulation")
    silence_timeout = Setting(_seconds, 300.0, "Seconds the helper may be silent while it works")
    total_timeout = Setting(_seconds, 900.0, "Seconds for the whole deployment of a small disk ...")
    total_timeout_per_gib = Setting(_seconds, 60.0, "... and for each GiB of the instance's disks on top")
    wipe_rest = Setting(
        _flag,
        True,
        "Clear what the image leaves free on the disk. Without it the new owner of a reused volume reads the old one's",
    )
    verbose = Setting(_flag, False, "A verbose log; as if Ganeti's command had been called with --debug")
    keep_console = Setting(_flag, False, "Keep what the helper's kernel prints on its console in the log")
    debug_shell = Setting(
        _flag, False, "A shell in the helper on its console. Only for development: the helper then waits for a person"
    )
    run_folder = Setting(_folder, paths.RUN, "Folder for the state of deployments under way")

    def __init__(self, values: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self.values = dict(values)
        self.parameters = dict(parameters)

    @classmethod
    def of(cls, **values: object) -> Settings:
        """The defaults, but for `values`"""
        return cls({}, {}).changed(**values)

    def changed(self, **values: object) -> Settings:
        """A copy with other `values`"""
        unknown = values.keys() - self.rows.keys()
        if unknown:
            raise TypeError(f"no such settings: {', '.join(sorted(unknown))}")
        return Settings({**self.values, **values}, self.parameters)

    def total_seconds(self, size: int) -> float:
        """The time limit of a deployment onto disks of `size` bytes in all"""
        return self.total_timeout + self.total_timeout_per_gib * size / GIB


def load(variant: str = "", folder: str = paths.SETTINGS) -> Settings:
    """The settings from config.toml, overridden by variants/VARIANT.toml; a missing file is an empty one

    Raises:
        ProviderError: E-SETTINGS, naming file and key
    """
    values: dict[str, Any] = {}
    parameters: dict[str, str] = {}
    files = [os.path.join(folder, FILE)]
    if variant:
        if not VARIANT.fullmatch(variant):
            raise ProviderError(
                "E-SETTINGS", f"The variant's name {variant[:80]!r} is not valid", "use letters and digits"
            )
        files.append(os.path.join(folder, VARIANTS, f"{variant}.toml"))
    for path in files:
        for key, value in _read(path).items():
            if key == PARAMETERS:
                parameters.update(_parameters(path, value))
            else:
                values[key] = _value(path, key, value)
    return Settings(values, parameters)


def _read(path: str) -> dict[str, Any]:
    """The TOML document in `path`, {} when there is no such file"""
    try:
        with open(path, "rb", opener=_opener) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _bad(path, "is not a regular file", "make it one")
            # whoever can write here decides what root runs
            if status.st_uid not in (0, os.geteuid()):
                raise _bad(path, "does not belong to root", f"chown root:root {path}")
            if status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid != 0):
                raise _bad(path, "can be written by others than root", f"chmod go-w {path}")
            document = file.read(SIZE_MAX + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _bad(path, f"can't be read ({error.strerror})", "look at its owner and mode") from None
    if len(document) > SIZE_MAX:
        raise _bad(path, f"has more than {SIZE_MAX} bytes", "see whether this is the right file")
    if _is_empty(document):
        return {}
    import tomllib

    try:
        return tomllib.loads(document.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _bad(path, f"is not TOML: {error}", "correct that line") from None


def _opener(path: str, flags: int) -> int:
    # a FIFO in the place of the file must not block
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def _is_empty(document: bytes) -> bool:
    """Whether there are comments only, as in the file we install: TOML's parser need not be imported then"""
    return all(not line or line.startswith(b"#") for line in map(bytes.strip, document.split(b"\n")))


def _value(path: str, key: str, value: object) -> object:
    row = Settings.rows.get(key)
    if row is None:
        import difflib

        close = difflib.get_close_matches(key, Settings.rows, 1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(Settings.rows)} and [{PARAMETERS}]"
        raise _bad(path, f"has an unknown key {key!r}", hint)
    try:
        return row.parse(value)
    except ValueError as error:
        raise _bad(path, f"{key} = {value!r} {error}"[:400], f"the default is {toml(row.default)}") from None


def _parameters(path: str, table: object) -> dict[str, str]:
    """The table of defaults for OS parameters, its values as the texts that `-O` would carry"""
    from helper_host.ganeti import parameters

    if not isinstance(table, dict):
        raise _bad(path, f"{PARAMETERS} must be a table", f"write [{PARAMETERS}] on a line of its own")
    result = {}
    for name, value in table.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            row = parameters.Parameters.rows.get(name)
            result[name] = ("\n" if row is not None and row.lines else " ").join(value)
        elif type(value) in (str, int):
            result[name] = str(value)
        else:
            raise _bad(path, f"[{PARAMETERS}] {name} must be a text, a number or a list of texts", "correct it")
    try:
        parameters.parse_values(result)
    except ProviderError as error:
        raise _bad(path, f"[{PARAMETERS}]: {error.cause}", error.remedy) from None
    return result


def _bad(path: str, cause: str, remedy: str) -> ProviderError:
    return ProviderError("E-SETTINGS", f"{path} {cause}", remedy)


def toml(value: object) -> str:
    """A setting's value as TOML (v1.0.0)"""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def example() -> str:
    """The commented settings file that gets installed: every setting with its default"""
    lines = [
        "# Settings of ganeti-instance-helper, in TOML; the same on all nodes (gnt-cluster copyfile).",
        "# Every setting is shown with its default. A variant overrides them in variants/NAME.toml.",
    ]
    for name, row in Settings.rows.items():
        lines += ["", *(f"# {line}" for line in row.help.split("\n")), f"#{name} = {toml(row.default)}"]
    lines += ["", "# Defaults for OS parameters, for instances that don't set them", f"#[{PARAMETERS}]"]
    lines += ['#dns_servers = "192.0.2.53 2001:db8::53"']
    return "\n".join(lines) + "\n"
