"""One task on a folder that holds an image's tree: what it logged, what it changed, how it ended"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from helper_agent.taskfile import PROGRAM, TaskFile
from helper_kit import changes, program
from helper_kit.fake_tree import Tree
from helper_kit.files import KitError
from helper_kit.rehearsal import Rehearsal, Stage, rehearse
from helper_kit.testing import INSTANCE


def run(
    item: TaskFile,
    folder: str,
    options: Mapping[str, Any],
    say: Callable[[str], None],
    *,
    distro: str = "",
    name: str = "",
    verbose: bool = False,
) -> bool:
    """Run the task in `item` on the tree in `folder`, which it changes; whether it went well

    Args:
        say: gets what is to be shown
        distro: os-release ID that the tree is taken to have; "": its own
        name: the instance's

    Raises:
        KitError: it can't be run here
    """
    _check(item, folder)
    tree = Tree(Path(folder))
    instance = INSTANCE._replace(name=name) if name else INSTANCE
    devices = {"os_release": {"ID": distro}} if distro else {}
    variables = {"INSTANCE_NAME": instance.name, "HYPERVISOR": "kvm"}
    action = "create" if "create" in item.task.actions else item.task.actions[0]
    before = changes.snapshot(folder)
    try:
        done = rehearse(item, tree, options, Stage(instance, action, devices=devices, variables=variables))
    finally:
        tree.close()
    for line in _log(done, verbose):
        say(line)
    secrets = [
        text
        for option in item.task.options
        if option.secret and option.name in options
        for text in _texts(options[option.name])
    ]
    say(changes.report(before, changes.snapshot(folder), owners=tree.owners, secrets=secrets))
    say(_ending(item, done))
    # an optional task's failure ends no installation, but whoever tries the task wants to know
    return done.failure is None and not done.detail.startswith("failed: ")


def _check(item: TaskFile, folder: str) -> None:
    if not os.path.isdir(folder):
        raise KitError(f"There is no folder {folder}", "give one that holds an image's tree, such as debootstrap makes")
    if os.path.realpath(folder) == "/":
        raise KitError(f"{folder} is this machine's own root folder", "give one that holds a copy of an image's tree")
    if not item.task.actions:
        raise KitError(f"{item.source} declares no actions, it never runs", "leave actions out, or name some")
    if item.task.phase == "devices":
        raise KitError(f"{item.source} works on disks, a folder has none", "run it on an image: --disk IMAGE")
    # Without its sandbox the symlinks of an image would lead it into this machine
    if item.kind == PROGRAM and not program.may_build_sandbox():
        raise KitError(
            f"{item.source} is a program, which runs in namespaces of its own",
            "run this as root, with sudo for one; a container needs CAP_SYS_ADMIN",
        )


def _log(done: Rehearsal, verbose: bool) -> list[str]:
    marks = {"debug": "debug: ", "info": "", "warning": "warning: "}
    return [f"log: {marks[level]}{text}" for level, text in done.log.lines if verbose or level != "debug"]


def _texts(value: Any) -> list[str]:
    if isinstance(value, bytes):
        return [line for line in value.decode("utf-8", "replace").splitlines() if line]
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value)] if value != "" else []


def _ending(item: TaskFile, done: Rehearsal) -> str:
    if done.failure is None:
        return f"{item.task.name}: {done.outcome}" + (f": {done.detail}" if done.detail else "")
    output = "".join(f"\n    {line}" for line in done.failure.output.strip().splitlines())
    return f"{item.task.name}: failed: {done.failure.cause}; {done.failure.remedy or 'see the log above'}{output}"
