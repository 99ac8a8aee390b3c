"""The texts that a new task begins with; `{name}`, `{file}`, `{phase}` and `{api}` are filled in"""

from __future__ import annotations

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

FILE = "/etc/{name}"


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
    'file="$HELPER_ROOT/etc/{name}"\n'
    'rm -f "$file"\n'
    'echo "$HELPER_OPTION_text, $INSTANCE_NAME" >"$file"\n'
    'echo "/etc/{name} written"',
    "devices": "# HELPER_DISK_0 is the first disk, HELPER_ROOT_DEVICE has the root filesystem\n"
    'echo "$HELPER_OPTION_text from $HELPER_ROOT_DEVICE"',
}

TEST = '''"""Tests of {file}"""

from __future__ import annotations

from helper_kit.testing import HelperTask


def test_the_file_is_written(helper_task: HelperTask) -> None:
    """With the option set, on a tree as Debian has it"""
    done = helper_task("{file}", "debian", options={{"text": "good morning"}})
    assert done.tree.text("/etc/{name}") == f"good morning, {{done.instance.name}}\\n"
    assert "/etc/{name} written" in done.log.of("info")
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

TEST_PROGRAM = '''"""Tests of {file}"""

from __future__ import annotations

from helper_kit.testing import HelperTask


def test_it_runs(helper_task: HelperTask) -> None:
    """With the option set, on a tree as Debian has it"""
    done = helper_task("{file}", "debian", options={{"text": "good morning"}})
    {check}
'''
CHECKS = {
    "filesystems": 'assert done.tree.text("/etc/{name}") == f"good morning, {{done.instance.name}}\\n"',
    "devices": 'assert done.log.of("info") == ["good morning from /dev/vda1"]',
}


def task(program: bool, phase: str) -> str:
    """The task's file, with {name} and the like to be filled in"""
    if program:
        return PROGRAM.replace("{body}", BODIES[phase])
    return PYTHON if phase == "filesystems" else PYTHON_DEVICES


def test(program: bool, phase: str) -> str:
    """The test of `task`"""
    if program:
        return TEST_PROGRAM.replace("{check}", CHECKS[phase])
    return TEST if phase == "filesystems" else TEST_DEVICES
