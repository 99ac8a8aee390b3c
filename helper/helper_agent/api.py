"""All that a task author may import

A task is one file: a docstring whose first line is its heading, one declaration `TASK`, and one function `run(context)`
that does the work, raises `Skip` where there is nothing to do, and `TaskError` where it can't be done.

    from helper_agent.api import Context, Option, Task

    TASK = Task(name="org.example.motd", phase="filesystems", api=1)

    def run(context: Context) -> None:
        context.root.write("/etc/motd", f"This is {context.instance.name}\\n")

`Root`, `Devices`, `Distro`, `State` and the like are here for annotations; a task gets them from its context.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from helper_agent.declaration import API_VERSION, CUSTOM, KIND_WORDS, Option, Task
from helper_agent.job import Disk, Instance, Network, Nic
from helper_agent.run import CommandFailed, Completed

if TYPE_CHECKING:
    from helper_agent.distros.base import Distro
    from helper_agent.inspection import Devices
    from helper_agent.net.state import Address, Interface, State
    from helper_agent.root import Root

__all__ = [
    "API_VERSION",
    "Address",
    "CommandFailed",
    "Completed",
    "Context",
    "Devices",
    "Disk",
    "Distro",
    "Instance",
    "Interface",
    "Logger",
    "Network",
    "Nic",
    "Option",
    "Options",
    "Root",
    "Skip",
    "State",
    "Task",
    "TaskError",
]

_LATE = {
    "Address": "helper_agent.net.state",
    "Devices": "helper_agent.inspection",
    "Distro": "helper_agent.distros.base",
    "Interface": "helper_agent.net.state",
    "Root": "helper_agent.root",
    "State": "helper_agent.net.state",
}
"""Names whose modules import this one, or that few tasks ask for: name -> module."""


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class TaskError(Exception):
    """A task can't do its work: `cause` says what happened to what, `remedy` what to do

    `code` is one of `protocol.FAILURES`; `output` is what a failed command printed.
    """

    def __init__(self, cause: str, remedy: str = "", *, code: str = "E-TASK", output: str = "") -> None:
        # Authors give an exception for the cause and bytes for the output, and without mypy nobody tells them
        self.cause, self.remedy, self.code, self.output = (_text(value) for value in (cause, remedy, code, output))
        super().__init__(self.cause)


class Skip(Exception):
    """Nothing to do here; the message says why, in a few words"""


class Options:
    """A task's options after they were checked: what was set, else the declared default

    Each of the kinds that an option can be declared with has a method. They raise TaskError for an option that the task
    doesn't declare, or declares with another kind.
    """

    def __init__(self, declared: Sequence[Option], values: Mapping[str, Any]) -> None:
        self._kinds = {option.name: option.kind for option in declared}
        self._values = {option.name: values.get(option.name, option.default) for option in declared}

    def text(self, name: str) -> str:
        """A str option, "" when unset"""
        return str(self._of("str", name) or "")

    def number(self, name: str) -> int:
        """An int option, 0 when unset"""
        return int(self._of("int", name) or 0)

    def flag(self, name: str) -> bool:
        """A bool option, False when unset"""
        return bool(self._of("bool", name))

    def items(self, name: str) -> tuple[str, ...]:
        """A list option, empty when unset"""
        return tuple(self._of("list", name) or ())

    def content(self, name: str) -> bytes:
        """A bytes option, empty when unset"""
        return bytes(self._of("bytes", name) or b"")

    def given(self) -> Mapping[str, Any]:
        """All of them by name, as they are; None for what is unset and has no default"""
        return self._values

    def plain(self) -> dict[str, Any]:
        """All of them by name, as data for JSON: bytes as base64, None for what is unset and has no default"""
        return {name: _plain(value) for name, value in self._values.items()}

    def _of(self, kind: str, name: str) -> Any:
        declared = self._kinds.get(name)
        if declared == kind:
            return self._values[name]
        what = f"declares as {KIND_WORDS.get(declared, declared)}" if declared else "doesn't declare"
        raise TaskError(
            f"The task asks for the option {name!r} as {KIND_WORDS[kind]}, which it {what}",
            "correct its TASK, or what it asks for",
        )


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        from base64 import b64encode

        return b64encode(value).decode()
    return list(value) if isinstance(value, (tuple, list)) else value


class Logger:
    """A task's lines for the node's log; `send(level, message)` puts them on the wire"""

    def __init__(self, send: Callable[[str, str], None]) -> None:
        self._send = send

    def debug(self, message: str) -> None:
        """Shown in a verbose log only"""
        self._send("debug", _text(message))

    def info(self, message: str) -> None:
        """What an administrator wants to see of a normal run"""
        self._send("info", _text(message))

    def warning(self, message: str) -> None:
        """What went on, though not as hoped"""
        self._send("warning", _text(message))


class Context:
    """What a task gets

    The agent makes it, and tests do, with its attributes as arguments and:

    Args:
        detected: `distro`, None in the devices phase
        run: does the work of `run`: `helper_agent.run.run` or a stand-in of the same form
        mounted: `root`, None in the devices phase
        network: options of the task `network`, for the property of that name
        in_image: does the work of `run_in_image`: the tree's path comes first, then as `run`; None: the real one
    """

    instance: Instance
    """Ganeti's facts about the instance: name, uuid, memory, disks, nics."""
    devices: Devices
    """The instance's disks and what was found on them: partitions, filesystems, the root's device."""
    options: Options
    """The task's own options."""
    log: Logger
    """Lines for the node's log."""
    task: Task
    """The task's own declaration."""
    action: str
    """What the node does: create, rename."""
    variables: Mapping[str, str]
    """Ganeti's own variables of the OS interface: INSTANCE_*, NIC_*, HYPERVISOR, ...; no OS parameter is among them."""
    properties: Mapping[str, str]
    """Image properties as snf-image has them (img_properties), names in upper case."""

    def __init__(
        self,
        *,
        instance: Instance,
        devices: Devices,
        detected: Distro | None,
        options: Options,
        log: Logger,
        run: Callable[..., Completed],
        mounted: Root | None,
        task: Task | None = None,
        action: str = "create",
        variables: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        network: Mapping[str, Any] | None = None,
        in_image: Callable[..., Completed] | None = None,
    ) -> None:
        self.instance = instance
        self.devices = devices
        self.options = options
        self.log = log
        self.task = task or Task(CUSTOM, "devices" if mounted is None else "filesystems")
        self.action = action
        self.variables = variables or {}
        self.properties = properties or {}
        self._detected = detected
        self._run = run
        self._mounted = mounted
        self._wishes = network or {}
        self._in_image = in_image
        self._network: State | None = None

    @property
    def phase(self) -> str:
        """devices or filesystems"""
        return self.task.phase

    @property
    def root(self) -> Root:
        """The image's tree, by a path API that can't be led outside of it

        Its `path` is for tasks with the privilege `tree-path`.

        Raises:
            TaskError: in the devices phase, when nothing is mounted
        """
        if self._mounted is None:
            raise TaskError("The image's tree is not mounted in the devices phase", "declare phase='filesystems'")
        return self._mounted

    @property
    def distro(self) -> Distro:
        """Facts and methods of the OS in the image

        Raises:
            TaskError: in the devices phase, when nothing is mounted
        """
        if self._detected is None:
            raise TaskError("The distro is not known in the devices phase", "declare phase='filesystems'")
        return self._detected

    @property
    def network(self) -> State:
        """What the instance's network should be: interfaces with their addresses, name servers

        The task `network` has the same; it is made from Ganeti's NICs and that task's options when it is asked for.

        Raises:
            TaskError: E-OPTION, an address or domain that is none, or what can't be
        """
        if self._network is None:
            from helper_agent.net import state

            self._network = state.read(self.instance.nics, self._wishes, self.log.warning)
        return self._network

    def run(
        self,
        argv: Sequence[str],
        *,
        input: bytes | None = None,  # noqa: A002  the name subprocess.run has
        timeout: float = 120.0,
        ok: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program of the *helper*, never one of the image, and wait for it

        Args:
            argv: the program and its arguments; no shell reads them
            input: bytes for stdin; without it stdin is closed
            timeout: seconds, then the command's whole process group is killed
            ok: exit codes that are no failure
            env: variables on top of PATH, HOME and a fixed locale; nothing is inherited

        Raises:
            CommandFailed: not found, a signal, an exit code not in `ok`, or out of time
        """
        return self._run(argv, input=input, timeout=timeout, ok=ok, env=env)

    def run_in_image(
        self,
        argv: Sequence[str],
        *,
        input: bytes | None = None,  # noqa: A002  the name subprocess.run has
        timeout: float = 120.0,
        ok: Collection[int] = (0,),
        env: Mapping[str, str] | None = None,
        devices: Sequence[str] = (),
        links: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program of the *image*, in the image's tree and in namespaces of its own, and wait for it

        Only for tasks with the privilege `image-programs`: the program is as trustworthy as the image.

        Args:
            argv: the program and its arguments; no shell reads them
            input: bytes for stdin; without it stdin is empty
            timeout: seconds, then it is killed with all that it has started
            ok: exit codes that are no failure
            env: variables on top of PATH, HOME and a fixed locale; nothing is inherited
            devices: device nodes that it may use; a boot loader's installer wants the disk, `context.devices.disk`
            links: symlinks below /dev, path -> target, such as /dev/disk/by-uuid/UUID -> /dev/vda1, by which grub knows
                a filesystem

        Raises:
            TaskError: without the privilege, or in the devices phase
            CommandFailed: as `run`
        """
        if "image-programs" not in self.task.privileges:
            raise TaskError(
                f"The task {self.task.name} is not allowed to run programs of the image",
                "let it declare privileges=('image-programs',)",
            )
        if (in_image := self._in_image) is None:
            from helper_agent import image_programs

            in_image = image_programs.run
        more = {"links": dict(links)} if links else {}
        return in_image(self._tree(), argv, input=input, timeout=timeout, ok=ok, env=env, devices=devices, **more)

    def _tree(self) -> str:
        """Where the tree is mounted; the task itself is told with the privilege `tree-path` alone"""
        self.root.lend_path(True)
        try:
            return self.root.path
        finally:
            self.root.lend_path("tree-path" in self.task.privileges)
