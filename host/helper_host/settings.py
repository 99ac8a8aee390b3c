"""The settings: one row each, read from config.toml and a variant's file

`Settings` below is the table: a row is a name, a parser, a default and a help text, and the attribute's type for
everybody who uses it. The commented example file and the manual follow from it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, overload

from helper_host import paths, setting_tables, trusted
from helper_host import setting_values as parsers
from helper_host.errors import ProviderError
from helper_host.setting_tables import PARAMETERS, TASKS, TaskTables, bad

FILE = "config.toml"
VARIANTS = "variants"
VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
SIZE_MAX = 1 << 20
GIB = 1 << 30

T = TypeVar("T")


class Setting(Generic[T]):
    """One row; read as an attribute of `Settings` it is the value"""

    def __init__(self, parse: Callable[[object], T], default: T, text: str, *, quoted: bool = True) -> None:
        self.parse = parse
        """Checks a value from TOML; ValueError says what it must be."""
        self.default = default
        self.help = text
        self.quoted = quoted
        """Errors may quote its value."""
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


class Settings:
    """The settings

    `values` holds what differs from the defaults, `parameters` the defaults for OS parameters, `tasks` the options of
    tasks.
    """

    rows: ClassVar[dict[str, Setting[Any]]] = {}

    image_store = Setting(
        parsers.folder, f"{paths.STATE}/images", "The image store: image=debian-12 is looked for here"
    )
    image_folders = Setting[tuple[str, ...]](
        parsers.folders, (), "Other folders, below which image=/absolute/path may lie; everything else is refused"
    )
    image_subfolders = Setting(
        parsers.flag, False, "Whether names in the image store may have folders in them: image=debian/12/generic"
    )
    image_urls = Setting[tuple[str, ...]](
        parsers.urls,
        (),
        "Beginnings of the URLs that images, and what config_url names, may come from, such as\n"
        '["https://images.example.org/"]; none: any URL',
    )
    image_programs = Setting[Mapping[str, str]](
        parsers.programs,
        {},
        'Programs that fetch images of further schemes, such as { s3 = "/usr/local/lib/fetch-s3" }. They run as root',
    )
    require = Setting(
        parsers.require,
        "none",
        "What every image must have: none, checksum (image_checksum), or signature (image_signature) by one of the\n"
        "keys in the keyrings folder",
    )
    keyrings = Setting(
        parsers.folder, f"{paths.SETTINGS}/keyrings", "Folder of the OpenPGP keys that may sign images (*.gpg, *.asc)"
    )
    helper_image = Setting(parsers.folder, f"{paths.LIB}/image", "Folder of the helper image")
    qemu = Setting(parsers.folder, "/usr/bin/qemu-system-x86_64", "QEMU, which runs the helper")
    accel = Setting(
        parsers.accel,
        "auto",
        "How the helper runs: kvm, tcg (emulation), or auto: KVM where it works, else emulation. QEMU's authors don't\n"
        "call emulation a security boundary: where images aren't trusted, say kvm",
    )
    memory_mib = Setting(
        parsers.memory, 0, "The helper's memory in MiB; 0: 256, and more where the largest disk has more than 800 GiB"
    )
    hello_timeout = Setting(parsers.seconds, 10.0, "Seconds in which the helper must have started under KVM")
    hello_timeout_tcg = Setting(parsers.seconds, 90.0, "Seconds in which the helper must have started under emulation")
    silence_timeout = Setting(parsers.seconds, 300.0, "Seconds the helper may be silent while it works")
    total_timeout = Setting(parsers.seconds, 900.0, "Seconds for the whole deployment of a small disk ...")
    total_timeout_per_gib = Setting(parsers.seconds, 60.0, "... and for each GiB of the instance's disks on top")
    wipe_rest = Setting(
        parsers.flag,
        True,
        "Clear what the image leaves free on the disk. Without it the new owner of a reused volume reads the old one's",
    )
    verbose = Setting(parsers.flag, False, "A verbose log; as if Ganeti's command had been called with --debug")
    keep_console = Setting(parsers.flag, False, "Keep what the helper's kernel prints on its console in the log")
    debug_shell = Setting(
        parsers.flag,
        False,
        "A shell in the helper on its console. Only for development: the helper then waits for a person",
    )
    run_folder = Setting(parsers.folder, paths.RUN, "Folder for the state of deployments under way")

    tasks_folder = Setting(
        parsers.folder,
        f"{paths.SETTINGS}/tasks.d",
        "Folder of tasks that every deployment runs on top of the helper image's own; all of it must be root's",
    )
    overlay_folder = Setting(
        parsers.folder,
        f"{paths.SETTINGS}/overlays",
        "Folder of the overlays, folders that are laid over images (overlay=NAME); all of it must be root's",
    )
    files_folder = Setting(
        parsers.folder,
        f"{paths.SETTINGS}/files",
        "Folder of files that whoever gives an instance its OS parameters may put into it (file0=/PATH=@NAME); all of\n"
        "it must be root's",
    )
    custom_tasks = Setting(
        parsers.flag,
        True,
        "Let whoever gives an instance its OS parameters bring a task (custom_task, CUSTOM_TASK). It runs in the\n"
        "helper VM as root and can read all options of that run, those in [tasks] here too; the node fetches\n"
        "it from any URL",
    )
    image_tasks = Setting(
        parsers.flag,
        False,
        "Let programs in an image replace tasks (/root/snf-image/helper/overwrite_task_NAME), where the image or its\n"
        "properties (ALLOW_MOUNTED_TASK_OVERWRITING) ask for it. They run in the helper VM, as root",
    )
    node_hooks = Setting(
        parsers.optional_folder,
        "",
        'Folder of programs that run on the node, as root, after each installation (run-parts); "" for none. They get\n'
        "the disk that an image of anybody's was written to: whatever they read from it may be made to attack the node",
    )
    node_hooks_timeout = Setting(parsers.seconds, 300.0, "Seconds each of them may take")

    ca_file = Setting(
        parsers.optional_folder,
        "",
        'File (PEM) of certificate authorities that downloads trust beside the system\'s; "" for none',
    )
    proxy = Setting(
        parsers.proxy,
        "",
        "URL of the proxy for downloads, such as http://proxy.example.org:3128. Ganeti gives its scripts an\n"
        "environment without https_proxy and no_proxy; they are heeded where a person's shell has them",
    )
    no_proxy = Setting[tuple[str, ...]](
        parsers.hosts, (), 'Hosts and domains that are reached without the proxy, such as [".example.org"]'
    )

    http_headers = Setting[Mapping[str, Mapping[str, str]]](
        parsers.headers,
        {},
        'Headers that servers get, such as { "images.example.org" = { Authorization = "Bearer ..." } }',
        quoted=False,
    )
    connect_timeout = Setting(parsers.seconds, 15.0, "Seconds in which a server must have answered")
    download_silence_timeout = Setting(parsers.seconds, 30.0, "Seconds a server may be silent before it is asked again")
    cache_folder = Setting(parsers.folder, paths.CACHE, "Folder of the download cache, root's own")
    cache_size_mib = Setting(
        parsers.count, 20480, "MiB that downloads may take there, the least recently used go first; 0: nothing is kept"
    )
    cache_max_age = Setting(
        parsers.duration, 0.0, "Seconds in which a copy is used without asking its server whether it has a newer one"
    )
    cache_stale = Setting(
        parsers.flag, False, "Use a copy, with a warning, when its server can't be asked whether it has a newer one"
    )
    progress_monitor = Setting(
        parsers.optional_folder,
        "",
        "Program that gets each deployment's progress (the instance's name as argument, JSON lines on stdin), as\n"
        'snf-image\'s PROGRESS_MONITOR; "" for none. It runs as root',
    )

    def __init__(
        self, values: Mapping[str, Any], parameters: Mapping[str, str], tasks: TaskTables | None = None
    ) -> None:
        self.values = dict(values)
        self.parameters = dict(parameters)
        self.tasks: TaskTables = tasks or {}

    @classmethod
    def of(cls, **values: object) -> Settings:
        """The defaults, but for `values`"""
        return cls({}, {}).changed(**values)

    def changed(self, **values: object) -> Settings:
        """A copy with other `values`"""
        unknown = values.keys() - self.rows.keys()
        if unknown:
            raise TypeError(f"no such settings: {', '.join(sorted(unknown))}")
        return Settings({**self.values, **values}, self.parameters, self.tasks)

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
    tasks: TaskTables = {}
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
                parameters.update(setting_tables.parameters(path, value))
            elif key == TASKS:
                setting_tables.tasks(path, value, tasks)
            else:
                values[key] = _value(path, key, value)
    return Settings(values, parameters, tasks)


def _read(path: str) -> dict[str, Any]:
    """The TOML document in `path`, {} when there is no such file"""
    try:
        document = trusted.read(path, SIZE_MAX)
    except FileNotFoundError:
        return {}
    except trusted.Untrusted as error:
        raise bad(path, error.why, error.remedy) from None
    if _is_empty(document):
        return {}
    import tomllib

    try:
        return tomllib.loads(document.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise bad(path, f"is not TOML: {error}", "correct that line") from None


def _is_empty(document: bytes) -> bool:
    """Whether there are comments only, as in the file we install: TOML's parser need not be imported then"""
    return all(not line or line.startswith(b"#") for line in map(bytes.strip, document.split(b"\n")))


def _value(path: str, key: str, value: object) -> object:
    row = Settings.rows.get(key)
    if row is None:
        import difflib

        close = difflib.get_close_matches(key, Settings.rows, 1)
        known = f"known are {', '.join(Settings.rows)}, [{PARAMETERS}] and [{TASKS}.NAME]"
        hint = f"did you mean {close[0]}?" if close else known
        raise bad(path, f"has an unknown key {key!r}", hint)
    try:
        return row.parse(value)
    except ValueError as error:
        quoted = f" = {value!r}" if row.quoted else ""
        raise bad(path, f"{key}{quoted} {error}"[:400], f"the default is {toml(row.default)}") from None


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
    lines += ["", "# Options of a task (ganeti-instance-helper task show NAME), for instances that don't set them"]
    lines += [f'#[{TASKS}."org.example.motd"]', '#owner = "example.org"']
    return "\n".join(lines) + "\n"
