"""What is generated, by the name that the pages have for it"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

from helper_agent import (
    api,
    declaration,
    description,
    inspection,
    job,
    programs,
    protocol,
    root,
    run,
    sandbox,
    snf,
    taskfile,
)
from helper_agent.distros import base
from helper_agent.net import state
from helper_host import settings
from helper_host.ganeti import parameters
from helper_kit import builtin, fake_tree, recorded, testing, trees
from helper_kit.manual import task_page
from helper_kit.rehearsal import DEVICES
from tests.manual import HERE
from tests.manual.members import Member, markdown, members

KINDS = {
    "str": "`context.options.text(name)`",
    "int": "`.number(name)`",
    "bool": "`.flag(name)`",
    "list": "`.items(name)`",
    "bytes": "`.content(name)`",
}


def parameters_table() -> str:
    """All OS parameters"""
    return parameters.table()


def aliases() -> str:
    """Others' names for OS parameters"""
    rows = [
        (f"`{name}`", alias.provider, f"`{row.name}`", f"`{_short(alias.example)}`")
        for row in parameters.Parameters.rows.values()
        for name, alias in row.aliases.items()
    ]
    return _table(("there", "whose", "here", "for example"), rows)


def built_in_tasks() -> str:
    """The manual of each"""
    known = builtin.tasks()
    order = ", ".join(f"[`{item.task.name}`](#{item.task.name})" for item in known)
    return f"In this order: {order}.\n\n" + "\n".join(task_page(item) for item in known)


def task_fields() -> str:
    """Of `Task`"""
    return _fields(declaration, "Task", defaults=True)


def option_fields() -> str:
    """Of `Option`, and how the kinds are read"""
    rows = [(f"`{kind}`", words, KINDS[kind]) for kind, words in declaration.KIND_WORDS.items()]
    return _fields(declaration, "Option", defaults=True) + "\n\n" + _table(("kind", "is", "read with"), rows)


def privileges() -> str:
    """Ways out"""
    return _table(("privilege", "what it does"), [(f"`{name}`", text) for name, text in declaration.PRIVILEGES.items()])


def context() -> str:
    """Of `Context`"""
    return _members(api, "Context", "context")


def options() -> str:
    """Of `Options`"""
    return _members(api, "Options", "context.options", leave=("given", "plain"))


def log() -> str:
    """Of `Logger`"""
    return _members(api, "Logger", "context.log")


def root_methods() -> str:
    """Of `Root`"""
    return _members(root, "Root", "context.root", leave=("close", "lend_path", "begin", "commit", "rollback"))


def distro_facts() -> str:
    """Of `Distro`"""
    facts = [each for each in members(base, "Distro") if not each.arguments]
    rows = [(f"`{each.name}`", _line(each.text), f"`{each.default}`") for each in facts]
    made = [
        ("`id`", "os-release's ID", "`linux`"),
        ("`ids`", "ID and ID_LIKE", ""),
        ("`version`", "VERSION_ID", ""),
        ("`name`", "PRETTY_NAME, for people", ""),
    ]
    return _table(("`context.distro.`", "is", "unless the distribution says otherwise"), [*made, *rows])


def network() -> str:
    """Of `State` and `Interface`"""
    tables = (f"`{name}`:\n\n{_fields(state, name)}" for name in ("State", "Interface", "Address"))
    return "\n\n".join(tables)


def devices() -> str:
    """Of `Devices`"""
    return _fields(inspection, "Devices")


def instance() -> str:
    """Of `Instance` and what is in it"""
    return "\n\n".join(f"`{name}`:\n\n{_fields(job, name)}" for name in ("Instance", "Disk", "Nic", "Network"))


def completed() -> str:
    """Of `Completed`"""
    return _fields(run, "Completed")


def failure_codes() -> str:
    """Codes that a TaskError may have"""
    return _table(("code", "when"), [(f"`{code}`", text) for code, text in protocol.FAILURES.items()])


def environment() -> str:
    """What a program gets, as it gets it"""
    found = programs.environment(_example_task(), _example_context(), sandbox.TREE)
    groups = {"Ours": "HELPER_", "snf-image's": "SNF_IMAGE_"}
    text = []
    for title, prefix in groups.items():
        named = sorted((name, value) for name, value in found.items() if name.startswith(prefix))
        rows = [(f"`{name}`", f"`{value}`" if value else "(empty)") for name, value in named]
        text.append(f"{title}:\n\n" + _table(("variable", "for example"), rows))
    rest = [name for name in found if not name.startswith(tuple(groups.values()))]
    names = ", ".join(f"`{name}`" for name in sorted(rest))
    return "\n\n".join(
        (*text, f"Ganeti's own, as its OS interface has them, and a few that every program has: {names}.")
    )


def stdin() -> str:
    """The document"""
    document = json.loads(programs.document(_example_task(), _example_context()))
    return f"```json\n{json.dumps(document, indent=2)}\n```"


def image_description() -> str:
    """Keys of image.toml"""
    rows = [
        ("`format`", f"must be {description.FORMAT}", f"`{description.FORMAT}`"),
        ("`os_family`", "the OS family, where it can't be told", '`"linux"`'),
        ("`users`", "whom password and keys are for: any task's option `users`", '`["debian"]`'),
        ("`skip_tasks`", "tasks that are not run, on top of others", '`["host-keys"]`'),
        ("`min_disk`", "size that the first disk must have", '`"4g"`'),
        ("`image_tasks`", "asks that its programs replace tasks; the setting of that name has to allow it", "`true`"),
        ("`[options.\"TASK\"]`", "a task's options", '`owner = "example.org"`'),
    ]  # fmt: skip
    assert {name.strip("`") for name, _, _ in rows} >= set(description.Description._fields) - {"options", "remarks"}
    return _table(("key", "meaning", "for example"), rows)


def snf_names() -> str:
    """Which tasks of snf-image are which of ours"""
    rows = [
        (f"`{ours}`", _names(theirs), _names([snf.OVERWRITTEN[ours]] if ours in snf.OVERWRITTEN else []))
        for ours, theirs in snf.NAMES.items()
    ]
    rows += [("none", _names(snf.WITHOUT_OURS), "")]
    return _table(("here", "in snf-image (`EXCLUDE_TASK_...`)", "replaced by `overwrite_task_...`"), rows)


def task_settings() -> str:
    """Settings that have to do with tasks"""
    wanted = ("tasks_folder", "custom_tasks", "image_tasks", "node_hooks", "node_hooks_timeout")
    rows = []
    for name in wanted:
        row = settings.Settings.rows[name]
        rows.append((f"`{name}`", _line(row.help), f"`{json.dumps(row.default)}`"))
    return _table(("setting", "meaning", "default"), rows)


def limits() -> str:
    """Numbers that a task can run into"""
    rows = [
        ("a task's file", f"{taskfile.SIZE_MAX >> 20} MiB"),
        ("`timeout`, when none is declared", f"{declaration.TIMEOUT:g} s"),
        ("`timeout`, at most", f"{declaration.TIMEOUT_MAX:g} s"),
        ("`context.root.read` and what edits", f"{root.READ_MAX >> 20} MiB, unless told otherwise"),
        ("lines of a program's stdout, and of stderr, in the log", f"{programs.LINES_MAX}"),
        ("characters of such a line", f"{programs.LINE_MAX}"),
        ("an image's description", f"{description.SIZE_MAX >> 10} KiB"),
    ]
    return _table(("what", "limit"), rows)


def example(name: str) -> str:
    """A file of tests/examples"""
    language = "python" if name.endswith(".py") else "bash"
    text = (HERE / "tests" / "examples" / name).read_text(encoding="utf-8")
    return f"```{language}\n{text.strip()}\n```"


def kit() -> str:
    """What a test gets"""
    fixtures = (testing.HelperTask, testing.HelperTree, testing.HelperTrap)
    parts = (
        *(f"#### {each.__name__}\n\n{markdown(inspect.getdoc(each) or '')}" for each in fixtures),
        f"Systems: {_names(trees.NAMES)}.",
        "`Done`, which `helper_task` returns:\n\n" + _fields(testing, "Done"),
        _members(fake_tree, "Tree", "tree", leave=("root", "close", "path", "owners")),
        _members(recorded, "Programs", "helper_programs", leave=("calls", "answers")),
    )
    return "\n\n".join(parts)


SECTIONS: Mapping[str, Callable[[], str]] = {
    "parameters": parameters_table,
    "aliases": aliases,
    "built-in-tasks": built_in_tasks,
    "task-fields": task_fields,
    "option-fields": option_fields,
    "privileges": privileges,
    "context": context,
    "options": options,
    "log": log,
    "root": root_methods,
    "distro": distro_facts,
    "network": network,
    "failure-codes": failure_codes,
    "devices": devices,
    "instance": instance,
    "completed": completed,
    "environment": environment,
    "stdin": stdin,
    "image-description": image_description,
    "snf-names": snf_names,
    "task-settings": task_settings,
    "limits": limits,
    "kit": kit,
    "example-sshd": lambda: example("org.example.sshd-hardening.py"),
    "example-program": lambda: example("org.example.issue.sh"),
}


# --- how ------------------------------------------------------------------------------------------------------------


def _example_task() -> declaration.Task:
    made = (
        declaration.Option("owner", "str", "", "example.org"),
        declaration.Option("groups", "list", "", ["web"]),
        declaration.Option("token", "str", "", secret=True),
    )
    return declaration.Task("org.example.motd", "filesystems", options=made, api=1)


def _example_context() -> api.Context:
    release = {"ID": "debian", "VERSION_ID": "12"}
    task = _example_task()
    instance = testing.INSTANCE
    facts: dict[str, Any] = {
        "INSTANCE_NAME": instance.name,
        "INSTANCE_UUID": instance.uuid,
        "HYPERVISOR": "kvm",
        "NIC_COUNT": "1",
        "NIC_0_MAC": instance.nics[0].mac,
        "NIC_0_IP": instance.nics[0].ip,
    }
    return api.Context(
        instance=instance,
        devices=DEVICES._replace(os_release=release),
        detected=base.Distro(release),
        options=api.Options(task.options, {"token": "a secret"}),
        log=recorded.Recorded(),
        run=recorded.Programs(),
        mounted=None,
        task=task,
        variables=facts,
        properties={"OSFAMILY": "linux"},
    )


def _short(example: str) -> str:
    return example if len(example) <= 40 else f"{example[:37]}..."


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _line(text: str) -> str:
    """A text on one line, as a table wants it"""
    line = " ".join(text.split()).replace("|", "\\|")
    return line if line.endswith("...") else line.removesuffix(".")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (tuple(heads), *map(tuple, rows))]
    columns = lines[0].count("|") - 1
    return "\n".join((lines[0], "|---" * columns + "|", *lines[1:]))


def _fields(module: ModuleType, name: str, *, defaults: bool = False) -> str:
    """A table; with `defaults` of a record that a task makes itself"""
    rows = []
    for each in members(module, name):
        if not each.arguments:
            default = [f"`{each.default}`" if each.default else "must be given"] if defaults else []
            rows.append((f"`{each.name}`", f"`{each.type}`".replace("|", "\\|"), *default, _line(each.text)))
    return _table(("field", "type", *(["default"] if defaults else []), "meaning"), rows)


def _members(module: ModuleType, name: str, prefix: str, leave: tuple[str, ...] = ()) -> str:
    return "\n\n".join(_member(each, prefix) for each in members(module, name) if each.name not in leave)


def _member(member: Member, prefix: str) -> str:
    returns = f" -> {member.type}" if member.type and member.type != "None" else ""
    return f"#### `{prefix}.{member.name}{member.arguments}{returns}`\n\n{markdown(member.text)}"
