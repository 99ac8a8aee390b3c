"""All that a task author may import

A task is one file: a docstring whose first line is its heading, one declaration `TASK`, and one function `run(context)`
that does the work, raises `Skip` where there is nothing to do, and `TaskError` where it can't be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helper_agent.declaration import API_VERSION, Option, Task
from helper_agent.protocol import Instance
from helper_agent.records import NamedTuple
from helper_agent.run import Completed

if TYPE_CHECKING:
    from helper_agent.distros.base import Distro
    from helper_agent.inspection import Devices
    from helper_agent.root import Root

__all__ = ["API_VERSION", "Context", "Instance", "Logger", "Option", "Options", "Skip", "Task", "TaskError"]


class TaskError(Exception):
    """A task can't do its work: `cause` says what happened to what, `remedy` what to do

    `code` is one of `protocol.FAILURES`; `output` is what a failed command printed.
    """

    def __init__(self, cause: str, remedy: str = "", *, code: str = "E-TASK", output: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
        self.code = code
        self.output = output


class Skip(Exception):
    """Nothing to do here; the message says why, in a few words"""


class Options:
    """A task's options after they were checked: what was set, else the declared default"""

    def __init__(self, declared: Sequence[Option], values: Mapping[str, Any]) -> None:
        self._values = {option.name: values.get(option.name, option.default) for option in declared}

    def text(self, name: str) -> str:
        """A str option, "" when unset"""
        return str(self._values[name] or "")

    def number(self, name: str) -> int:
        """An int option, 0 when unset"""
        return int(self._values[name] or 0)

    def flag(self, name: str) -> bool:
        """A bool option, False when unset"""
        return bool(self._values[name])

    def items(self, name: str) -> tuple[str, ...]:
        """A list option, empty when unset"""
        return tuple(self._values[name] or ())


class Logger:
    """A task's lines for the node's log; `send(level, message)` puts them on the wire"""

    def __init__(self, send: Callable[[str, str], None]) -> None:
        self._send = send

    def debug(self, message: str) -> None:
        """Shown in a verbose log only"""
        self._send("debug", message)

    def info(self, message: str) -> None:
        """What an administrator wants to see of a normal run"""
        self._send("info", message)

    def warning(self, message: str) -> None:
        """What went on, though not as hoped"""
        self._send("warning", message)


class Context(NamedTuple):
    """What a task gets"""

    instance: Instance
    devices: Devices
    """The instance's disks and what was found on them: partitions, filesystems, the root's device."""
    detected: Distro | None
    """Ask `distro`."""
    options: Options
    log: Logger
    run: Callable[..., Completed]
    """`helper_agent.run.run`: a program of the *helper*, never one of the image."""
    mounted: Root | None
    """Ask `root`."""

    @property
    def root(self) -> Root:
        """The image's tree, by a path API that can't be led outside of it

        Raises:
            TaskError: in the devices phase, when nothing is mounted
        """
        if self.mounted is None:
            raise TaskError("The image's tree is not mounted in the devices phase", "declare phase='filesystems'")
        return self.mounted

    @property
    def distro(self) -> Distro:
        """Facts and methods of the OS in the image

        Raises:
            TaskError: in the devices phase, when nothing is mounted
        """
        if self.detected is None:
            raise TaskError("The distro is not known in the devices phase", "declare phase='filesystems'")
        return self.detected
