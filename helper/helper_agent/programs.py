"""Tasks that are programs: what they get, and what their output and exit code mean

A program gets its facts as environment variables, everything (its options, secret ones too) as JSON on stdin, and ends
with 0 for done or 77 for nothing to do; what it prints goes to the log. It runs in a sandbox (`helper_agent.sandbox`):
it sees the helper's programs, read-only, and the image at $HELPER_ROOT.

Programs in the image that replace a task, as snf-image has them, are as hostile as the image. snf-image ran them in the
helper with the image at $SNF_IMAGE_TARGET; here the image is their root folder and SNF_IMAGE_TARGET is /, so that
"$SNF_IMAGE_TARGET/etc/hostname" is the same file as there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from helper_agent import sandbox, snf, spawn
from helper_agent.api import Skip, TaskError
from helper_agent.declaration import API_VERSION
from helper_agent.run import OUTPUT_MAX, PATH, how_ended

if TYPE_CHECKING:
    from helper_agent.api import Context, Task
    from helper_agent.root import Root

SKIPPED = 77
"""Exit code for nothing to do, as Automake's tests have it; the last line on stdout is the reason."""
LINES_MAX = 200
"""Most lines of stdout, and of stderr, that go into the log."""
LINE_MAX = 500
"""Most characters of such a line."""
PROGRAM_MAX = 1 << 20
VALUE_MAX = 128 * 1024 - 256
"""Most bytes of a variable, its name included: the kernel's MAX_ARG_STRLEN less some (execve(2))."""
BASE: Mapping[str, str] = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C", "TZ": "UTC0", "TERM": "dumb"}
LOOK_AT = "see what it printed, above; try it with: ganeti-instance-helper task run"


def run_task(path: str, task: Task, context: Context) -> None:
    """Run the program in the file `path` as `task`

    Raises:
        Skip: it found nothing to do
        TaskError: it failed, could not be started, or ran out of time
    """
    with open(path, "rb") as file:
        content = file.read(PROGRAM_MAX + 1)
    name = os.path.basename(path)
    devices = task.phase == "devices"
    apart = sandbox.Sandbox(
        tree="" if devices else context._tree(),
        executable="image-programs" in task.privileges,
        program=content,
        name=name,
        all_devices=devices,
        capabilities=sandbox.DISKS if devices else sandbox.FILES,
    )
    program = spawn.Program(
        argv=(f"{sandbox.PROGRAMS}/{name}",),
        environment=environment(task, context, "" if devices else sandbox.TREE),
        apart=apart,
        input=document(task, context),
        timeout=task.timeout,
    )
    conclude(task, *_watched(program, f"The task {task.name}", context))


def conclude(task: Task, code: int, printed: Printed) -> None:
    """What the exit code of a task's program means

    Raises:
        Skip, TaskError
    """
    if code == SKIPPED:
        raise Skip(printed.last or "it said that there is nothing to do")
    if code != 0:
        raise _failed(f"The program of the task {task.name}", code, printed)


def overwriting(root: Root, task_name: str) -> str | None:
    """The program in the image that replaces the task `task_name`, by our name for it or snf-image's; None for none

    Raises:
        TaskError: the folder for such programs is a trap
    """
    wanted = {
        f"{snf.OVERWRITE_PREFIX}{name}".lower() for name in (task_name, snf.OVERWRITTEN.get(task_name, task_name))
    }
    if not root.is_dir(snf.OVERWRITE_FOLDER):
        return None
    for name in root.listdir(snf.OVERWRITE_FOLDER):
        path = f"{snf.OVERWRITE_FOLDER}/{name}"
        if name.lower() in wanted and root.is_file(path) and root.stat(path).st_mode & stat.S_IXUSR:
            return path
    return None


def run_overwrite(path: str, when: str, context: Context) -> int:
    """Run the image's program `path`, in the image; its exit code, `snf.RUN_ORIGINAL` for before and after the task

    Args:
        when: `snf.PRE` or `snf.POST`

    Raises:
        TaskError: it could not be started, was killed by a signal, or ran out of time
    """
    program = spawn.Program(
        argv=(path, when),
        environment=environment(context.task, context, "/"),
        apart=sandbox.Sandbox(tree=context._tree(), inside=True),
        timeout=context.task.timeout,
    )
    code, printed = _watched(program, f"{path} of the image", context)
    if code < 0:
        raise _failed(f"{path} of the image", code, printed)
    return code


# --- what a program gets --------------------------------------------------------------------------------------------


def environment(task: Task, context: Context, target: str) -> dict[str, str]:
    """The variables of a program; no secret is among them, since every process can read its neighbour's

    Args:
        target: where the image is for the program, "" when it isn't mounted
    """
    system = context.devices
    disks = dict(system.disks)
    ours = {
        "API": str(API_VERSION),
        "TASK": task.name,
        "PHASE": task.phase,
        "ACTION": context.action,
        "FAMILY": system.family,
        "DISTRO": system.os_release.get("ID", ""),
        "DISTRO_VERSION": system.os_release.get("VERSION_ID", ""),
        "ROOT_DEVICE": system.root_device,
        "DISK_COUNT": str(len(disks)),
        **{f"DISK_{index}": path for index, path in disks.items()},
        **({"ROOT": target} if target else {}),
        **_options(task, context),
    }
    theirs = snf.environment(
        hostname=context.instance.name,
        target=target,
        devices=disks,
        resize_partition=system.root_number or 0,
        properties={
            "OSFAMILY": system.family,
            "ROOT_PARTITION": str(system.root_number or ""),
            **context.properties,
        },
        variables=context.variables,
    )
    return _possible(
        {
            **theirs,
            **context.variables,
            **{f"DISK_{index}_PATH": path for index, path in disks.items()},
            **{f"HELPER_{name}": value for name, value in ours.items()},
            **BASE,
        }
    )


def document(task: Task, context: Context) -> bytes:
    """What a program reads from stdin: a JSON object with all it may know"""
    import json

    content = {
        "api": API_VERSION,
        "task": task.name,
        "phase": task.phase,
        "action": context.action,
        "instance": _plain(context.instance),
        "network": _plain(context.network),
        "options": context.options.plain(),
    }
    return json.dumps(content).encode() + b"\n"


def _options(task: Task, context: Context) -> dict[str, str]:
    """HELPER_OPTION_name of the options that are set and no secret: true or false, one line for each of a list"""
    values = context.options.plain()
    return {
        f"OPTION_{option.name}": _text(values[option.name])
        for option in task.options
        if not option.secret and values.get(option.name) is not None
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "\n".join(value) if isinstance(value, list) else str(value)


def _possible(variables: Mapping[str, str]) -> dict[str, str]:
    """What execve(2) takes: a user's text is among them"""
    return {
        name: value
        for name, value in variables.items()
        if name and "=" not in name and "\0" not in name + value and len(os.fsencode(name + value)) < VALUE_MAX
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _plain(getattr(value, name)) for name in value._fields}
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


# --- what becomes of its output -------------------------------------------------------------------------------------


class Lines:
    """One stream of a program, line by line into the log, within bounds"""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.last = ""
        self.tail = b""
        self._log = log
        self._begun = b""
        self._lines = 0

    def take(self, part: bytes) -> None:
        """The program wrote `part`"""
        self.tail = (self.tail + part)[-OUTPUT_MAX:]
        *lines, begun = (self._begun + part).split(b"\n")
        for line in lines:
            self._line(line)
        # The rest of a line that is too long is of no use: only that there is one
        self._begun = begun[: 4 * LINE_MAX + 4]

    def end(self) -> None:
        """The program has ended"""
        if self._begun:
            self._line(self._begun)

    def _line(self, line: bytes) -> None:
        text = line[: 4 * LINE_MAX + 4].decode("utf-8", "replace").rstrip()
        if not text:
            return
        self.last = text if len(text) <= LINE_MAX else f"{text[:LINE_MAX]} [...]"
        self._lines += 1
        if self._lines <= LINES_MAX:
            self._log(self.last)
        elif self._lines == LINES_MAX + 1:
            self._log(f"[...] more than {LINES_MAX} lines")


class Printed:
    """What a program printed"""

    def __init__(self, context: Context) -> None:
        self.streams = {1: Lines(context.log.info), 2: Lines(context.log.warning)}

    @property
    def last(self) -> str:
        return self.streams[1].last

    @property
    def output(self) -> str:
        return (self.streams[2].tail or self.streams[1].tail).decode("utf-8", "replace").strip()

    def take(self, stream: int, part: bytes) -> None:
        self.streams[stream].take(part)

    def end(self) -> None:
        for stream in self.streams.values():
            stream.end()


def _watched(program: spawn.Program, who: str, context: Context) -> tuple[int, Printed]:
    printed = Printed(context)
    try:
        code = spawn.run(program, printed.take)
    except spawn.NotStarted as error:
        raise TaskError(
            f"{who} can't be started: {error}",
            "use what is there: bash, busybox and python3 in the helper, the image's own programs in the image",
        ) from None
    except spawn.OutOfTime:
        printed.end()
        raise TaskError(
            f"{who} was still running after {program.timeout:g} s and was killed",
            "see what it waited for; if it needs longer, declare a larger timeout",
            output=printed.output,
        ) from None
    printed.end()
    return code, printed


def _failed(who: str, code: int, printed: Printed) -> TaskError:
    ended = f"failed with {how_ended(code)}" if code > 0 else f"was {how_ended(code)}"
    return TaskError(f"{who} {ended}", LOOK_AT, output=printed.output)
