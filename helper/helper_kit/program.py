"""A task that is a program, run on an author's machine: in the agent's sandbox where root may build it, else as is"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from helper_agent import programs
from helper_agent.api import Context, TaskError
from helper_agent.taskfile import TaskFile

CAP_SYS_ADMIN = 21
"""linux/capability.h."""


def program(file: TaskFile, folder: str) -> Callable[[Context], None]:
    """A function that runs the program in `file`, which is written to `folder`"""
    path = os.path.join(folder, file.task.name)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o700)
    with open(fd, "wb") as target:
        target.write(file.content)
    if may_build_sandbox():
        return lambda context: programs.run_task(path, file.task, context)
    return lambda context: _plainly(path, context)


def may_build_sandbox() -> bool:
    """Whether this process may make namespaces and mounts; root in a container often may not"""
    with open("/proc/self/status", encoding="ascii") as status:
        capabilities = next(line.split()[1] for line in status if line.startswith("CapEff:"))
    return bool(int(capabilities, 16) >> CAP_SYS_ADMIN & 1)


def _plainly(path: str, context: Context) -> None:
    """Run the program with what the agent would give it, without the sandbox

    Raises:
        Skip, TaskError
    """
    task = context.task
    target = "" if task.phase == "devices" else context._tree()
    printed = programs.Printed(context)
    try:
        done = subprocess.run(
            [path],
            env=programs.environment(task, context, target),
            input=programs.document(task, context),
            cwd="/",
            capture_output=True,
            timeout=task.timeout,
            check=False,
        )
    except OSError as error:
        raise TaskError(f"The task {task.name} can't be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise TaskError(f"The task {task.name} was still running after {task.timeout:g} s and was killed") from None
    printed.take(1, done.stdout)
    printed.take(2, done.stderr)
    printed.end()
    programs.conclude(task, done.returncode, printed)
