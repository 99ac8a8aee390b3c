"""Skeletons: a task's file, and a test beside it that passes at once"""

from __future__ import annotations

import os
from typing import NamedTuple

from helper_agent import declaration
from helper_agent.declaration import API_VERSION, Task
from helper_kit.files import KitError

PYTHON = '''"""Say in one line what it does, without a full stop

What an administrator should know about it: `task show` prints this.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task

TASK = Task(
    name="{name}",
    phase="filesystems",
    options=(Option("text", "str", "what to write", "hello"),),
    api={api},
)

FILE = "/etc/{short}"


def run(context: Context) -> None:
    """Write the file"""
    context.root.write(FILE, f"{{context.options.text('text')}}, {{context.instance.name}}\\n")
    context.log.info(f"{{FILE}} written")
'''

PYTHON_DEVICES = '''"""Say in one line what it does, without a full stop

What an administrator should know about it: `task show` prints this.
"""

from __future__ import annotations

from helper_agent.api import Context, Skip, Task

TASK = Task(
    name="{name}",
    phase="devices",
    after=("grow-filesystem",),
    api={api},
)


def run(context: Context) -> None:
    """Work on the disks; nothing of the image is mounted"""
    if context.devices.root_type != "ext4":
        raise Skip(f"{{context.devices.root_type}} has no such label")
    context.run(["e2label", context.devices.root_device, "root"])
    context.log.info("labelled")
'''

PROGRAM = """#!/bin/sh
# /// task
# api = {api}
# heading = "Say in one line what it does, without a full stop"
# description = "What an administrator should know about it: task show prints this."
# phase = "{phase}"
# [options.text]
# kind = "str"
# help = "what to write"
# default = "hello"
# ///
#
# What is printed goes to the log; exit code 0: done, 77: nothing to do (the last line says why), any other: failed.
# Options are in HELPER_OPTION_*, those that are secret only in the JSON on stdin.
set -eu
{body}
"""
BODIES = {
    "filesystems": "# HELPER_ROOT is the folder with the image's tree; a symlink in it must not lead elsewhere\n"
    'file="$HELPER_ROOT/etc/{short}"\n'
    'rm -f "$file"\n'
    'echo "$HELPER_OPTION_text, $INSTANCE_NAME" >"$file"\n'
    'echo "/etc/{short} written"',
    "devices": "# HELPER_DISK_0 is the first disk, HELPER_ROOT_DEVICE has the root filesystem\n"
    'echo "$HELPER_OPTION_text from $HELPER_ROOT_DEVICE"',
}

TEST = '''"""Tests of {file}"""

from __future__ import annotations

from helper_kit.testing import HelperTask


def test_the_file_is_written(helper_task: HelperTask) -> None:
    """With the option set, on a tree as Debian has it"""
    done = helper_task("{file}", "debian", options={{"text": "good morning"}})
    assert done.tree.text("/etc/{short}") == f"good morning, {{done.instance.name}}\\n"
    assert "/etc/{short} written" in done.log.of("info")
'''

TEST_DEVICES = '''"""Tests of {file}"""

from __future__ import annotations

from helper_kit.testing import HelperTask, Programs


def test_the_root_filesystem_gets_a_label(helper_task: HelperTask, helper_programs: Programs) -> None:
    """e2label is not run here, only recorded"""
    helper_programs.answer("e2label")
    done = helper_task("{file}", devices={{"root_device": "/dev/vda1", "root_type": "ext4"}})
    assert done.programs.calls == [("e2label", "/dev/vda1", "root")]


def test_other_filesystems_have_none(helper_task: HelperTask) -> None:
    """The task is skipped, and says why"""
    done = helper_task("{file}", devices={{"root_type": "vfat"}})
    assert (done.outcome, done.detail) == ("skipped", "vfat has no such label")
'''

# A program runs in namespaces of its own, for which one has to be root
TEST_PROGRAM = '''"""Tests of {file}"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helper_kit import files
from helper_kit.testing import HelperTask


def test_the_declaration() -> None:
    """Is complete; `task lint` finds more"""
    item = files.load(str(Path(__file__).with_name("{file}")))
    assert (item.task.name, item.task.phase) == ("{name}", "{phase}")


@pytest.mark.skipif(os.geteuid() != 0, reason="a program runs in namespaces of its own: run the tests as root")
def test_it_runs(helper_task: HelperTask) -> None:
    """With the option set, on a tree as Debian has it"""
    variables = {{"INSTANCE_NAME": "web1"}}
    done = helper_task("{file}", "debian", options={{"text": "good morning"}}, variables=variables)
    {check}
'''
CHECKS = {
    "filesystems": 'assert done.tree.text("/etc/{short}") == "good morning, web1\\n"',
    "devices": 'assert done.log.of("info") == ["good morning from /dev/vda1"]',
}


class Written(NamedTuple):
    """The files of a new task"""

    task: str
    test: str


def write(name: str, folder: str, *, program: bool = False, phase: str = "filesystems") -> Written:
    """A task named `name` and its test in `folder`

    Raises:
        KitError: the name is none for a task, or a file is there already; nothing was written
    """
    # a good task but for the name, so that only that can be wrong
    if problem := declaration.problem(Task(name, phase, api=API_VERSION), outside=True):
        cause, _, remedy = problem.removeprefix("declares ").partition("; ")
        raise KitError(f"A task can't be named so: {cause}", remedy or "such as org.example.motd")
    file = f"{name}{'.sh' if program else '.py'}"
    paths = Written(os.path.join(folder, file), os.path.join(folder, test_name(name)))
    for path in paths:
        if os.path.lexists(path):
            raise KitError(f"{path} is there already", "give another name, or another --folder")
    words = {"name": name, "short": name.rpartition(".")[2], "file": file, "api": API_VERSION, "phase": phase}
    try:
        os.makedirs(folder, exist_ok=True)
        _put(paths.task, _task(program, phase).format(**words), 0o777 if program else 0o666)
        _put(paths.test, _test(program, phase).format(**words), 0o666)
    except OSError as error:
        raise KitError(f"{error.filename} can't be written ({error.strerror})", "give another --folder") from None
    return paths


def test_name(name: str) -> str:
    """The test's file: a Python module's name has no dots"""
    return f"test_{name.replace('.', '_').replace('-', '_')}.py"


def _task(program: bool, phase: str) -> str:
    if program:
        return PROGRAM.replace("{body}", BODIES[phase])
    return PYTHON if phase == "filesystems" else PYTHON_DEVICES


def _test(program: bool, phase: str) -> str:
    if program:
        return TEST_PROGRAM.replace("{check}", CHECKS[phase])
    return TEST if phase == "filesystems" else TEST_DEVICES


def _put(path: str, text: str, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
