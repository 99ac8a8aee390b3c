"""ganeti-instance-helper task: what authors of tasks need, on a node and in `make kit`'s environment

Only this module of the node side uses the kit, and late: a deployment has nothing to do with it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helper_host import settings as all_settings
from helper_host.commands import main as script
from helper_host.commands import task_usage, tool
from helper_host.errors import ProviderError
from helper_host.log import printable

if TYPE_CHECKING:
    from helper_agent.taskfile import TaskFile
    from helper_host.settings import Settings
    from helper_kit.manual import Documented


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0, 1 after an error (whose line is then the last one on stderr), 2 for wrong usage"""
    try:
        asked = task_usage.parser().parse_args(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 2
    # an author's new files are for others to read, unlike what a deployment writes
    umask = os.umask(0o022)
    os.umask(umask)
    code = 0

    def command() -> None:
        nonlocal code
        os.umask(umask)
        # a deployment has pipes of its own, which nobody may leave
        with contextlib.nullcontext() if asked.command == "run" else tool.reader_may_leave():
            code = _translated(COMMANDS[asked.command], asked)

    return script.guarded_call("task", command) or code


def _translated(command: Callable[[argparse.Namespace], int], asked: argparse.Namespace) -> int:
    """The kit's errors as ours"""
    from helper_agent.order import OrderError
    from helper_kit.files import KitError

    try:
        return command(asked)
    except KitError as error:
        raise ProviderError("E-TASKS", error.cause, error.remedy) from None
    except OrderError as error:
        cause, _, remedy = str(error).partition("; ")
        raise ProviderError("E-TASKS", cause, remedy or "correct the declaration in one of them") from None


def _new(asked: argparse.Namespace) -> int:
    from helper_kit import new

    written = new.write(asked.name, asked.folder, program=asked.program, phase=asked.phase)
    task, test = (os.path.normpath(path) for path in written)
    beside = os.path.join(os.path.dirname(task_usage.program()), "pytest")
    print(f"written: {task}, {test}", "next:", f"  {task_usage.program()} task lint {task}", sep="\n")
    print(f"  {beside if os.path.exists(beside) else 'pytest'} {test}")
    print(f"  {task_usage.program()} task run {task} --disk IMAGE      (as root: in a real helper, on a copy)")
    return 0


def _lint(asked: argparse.Namespace) -> int:
    from helper_agent.taskfile import task_name
    from helper_kit import files, lint

    paths = files.find(asked.files)
    given = {task_name(path) for path in paths}
    there = files.find([asked.tasks_folder]) if asked.tasks_folder else []
    others = [*_in_helper(all_settings.load().helper_image), *(files.load(path) for path in there)]
    # a file that is there in an earlier state is the same task
    findings = lint.check(paths, [item for item in others if item.task.name not in given])
    for finding in findings:
        _say(str(finding))
    errors = sum(finding.level == lint.ERROR for finding in findings)
    print(
        f"{_count(len(paths), 'task')}: {_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}",
        file=sys.stderr,
    )
    return 1 if errors else 0


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"


def _list(asked: argparse.Namespace) -> int:
    from helper_kit import files, listing

    settings = all_settings.load(asked.variant)
    given = [files.load(path) for path in files.find(asked.files)]
    # one that is there in an earlier state is the same task
    names = {item.task.name for item in given}
    items = [*(item for item in _known(settings) if item.task.name not in names), *given]
    rows = listing.rows(items, settings.parameters.get("skip_tasks", "").replace(",", " ").split())
    if asked.json:
        print(json.dumps(listing.data(rows), indent=2))
    else:
        _say(listing.table(rows))
    return 0


def _show(asked: argparse.Namespace) -> int:
    from helper_kit import files, manual

    item: Documented
    if os.path.isfile(asked.task):
        item = files.load(asked.task)
    else:
        item = _named(asked.task, _known(all_settings.load(asked.variant)))
    text = manual.task_page(item, level=1) if asked.markdown else manual.task_text(item)
    _say(text)
    return 0


def _run(asked: argparse.Namespace) -> int:
    from helper_kit import files

    item = files.load(asked.file)
    options = _options(item, asked.options)
    if asked.disk:
        return _run_on_disk(item, asked)
    from helper_kit import on_folder

    well = on_folder.run(item, asked.root, options, _say, distro=asked.distro, name=asked.name, verbose=asked.verbose)
    return 0 if well else 1


def _run_on_disk(item: TaskFile, asked: argparse.Namespace) -> int:
    from helper_host import trial

    # what is written now is a disk with an instance's secrets on it
    os.umask(0o077)
    pairs = tuple((name, text) for name, _, text in (given.partition("=") for given in asked.options))
    name = asked.name or trial.INSTANCE
    tried = trial.Trial(item, pairs, asked.disk, asked.size, asked.keep, asked.with_all, name, asked.verbose)
    ended = trial.run(tried, all_settings.load(asked.variant))
    if asked.keep:
        print(f"the disk is {asked.keep}")
    print(f"{item.task.name}: {ended}")
    # an optional task's failure ends no installation, but whoever tries the task wants to know
    return 1 if ended.startswith("skipped: failed: ") else 0


def _options(item: TaskFile, given: Sequence[str]) -> dict[str, Any]:
    """`-o NAME=VALUE` with their types, by the same rules as the OS parameter task_options"""
    from helper_host.ganeti import task_options
    from helper_host.ganeti.values import Invalid
    from helper_host.tasks import Known, Tasks

    name = item.task.name
    known = Tasks((Known(item.task, item.source, item.heading, item.manual, item.kind),))
    items = []
    for number, text in enumerate(given, 1):
        option, equals, value = text.partition("=")
        if not equals:
            raise ProviderError("E-PARAMETER", f"-o {option} has no value", "give NAME=VALUE")
        items.append(task_options.Item(number, name, option, value))
    try:
        return task_options.typed(items, known).get(name, {})
    except Invalid as error:
        raise ProviderError("E-PARAMETER", f"-o {error.why}", error.remedy) from None


def _named(name: str, items: Sequence[Documented]) -> Documented:
    import difflib

    known = {item.task.name: item for item in items}
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"is {close[0]} meant?" if close else f"there are: {', '.join(known)}"
        raise ProviderError("E-TASKS", f"There is no task {name!r}, and no file of that name", hint)
    return known[name]


def _known(settings: Settings) -> list[Documented]:
    """The tasks of this node, in its helper image and in tasks.d"""
    from helper_host import helper_image, tasks
    from helper_kit import files

    if os.path.exists(os.path.join(settings.helper_image, helper_image.MANIFEST)):
        return list(tasks.collect(settings, helper_image.load(settings.helper_image)).rows)
    print(f"There is no helper image in {settings.helper_image}: its tasks are those of this version", file=sys.stderr)
    there = [settings.tasks_folder] if os.path.isdir(settings.tasks_folder) else []
    return [*_in_helper(settings.helper_image), *(files.load(path) for path in files.find(there))]


def _in_helper(folder: str) -> list[Documented]:
    """The tasks of the helper image in `folder`; without one, those that come with this version"""
    from helper_host import helper_image
    from helper_kit import builtin

    if os.path.exists(os.path.join(folder, helper_image.MANIFEST)):
        return list(helper_image.load(folder).tasks)
    return list(builtin.tasks())


def _say(text: str) -> None:
    """What may come from an image or a file of anybody's: nothing in it drives the terminal"""
    for line in text.splitlines():
        print(printable(line))


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "new": _new,
    "lint": _lint,
    "list": _list,
    "show": _show,
    "run": _run,
}
