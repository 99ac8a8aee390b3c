"""One run: inspect, the tasks on devices, mount, the tasks on the tree, umount; each a step the node is told of"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from helper_agent import registry
from helper_agent.api import Context, Logger, Options, Skip
from helper_agent.failures import failure
from helper_agent.protocol import Failure, Job
from helper_agent.records import NamedTuple
from helper_agent.root import Root
from helper_agent.run import Completed, run
from helper_agent.wire import Wire

if TYPE_CHECKING:
    from helper_agent.distros.base import Distro
    from helper_agent.inspection import Devices

HEARTBEAT = 20
"""Seconds between two signs of life while a command runs (a check of a large filesystem says nothing for minutes)."""

Runner = Callable[..., Completed]


class Mounted(Protocol):
    """The image's tree, mounted at `path` until `close`"""

    @property
    def path(self) -> str:
        """Where"""
        ...

    def close(self) -> None:
        """Unmount, everything written"""
        ...


class Layers(NamedTuple):
    """What a run stands on: the disk layer and the tasks. Tests without a VM give others"""

    tasks: tuple[registry.Entry, ...]
    inspect: Callable[[Job, Mapping[int, str], Logger, Runner], Devices]
    mount: Callable[[Devices, Logger, Runner], Mounted]
    detect: Callable[[Mapping[str, str], Root], Distro]
    after_step: Callable[[], None]
    on_failure: Callable[[Job, Wire], None]


class StepFailed(Exception):
    """A step failed and the node was told; carries the `Failure` for the result"""

    def __init__(self, told: Failure) -> None:
        super().__init__(told.cause)
        self.failure = told


class Run:
    """Takes one job through its steps; `disks` are the device paths by Ganeti's disk index"""

    def __init__(self, job: Job, wire: Wire, layers: Layers, disks: Mapping[int, str]) -> None:
        self._job = job
        self._wire = wire
        self._layers = layers
        self._disks = disks
        self._step = "options"
        self._log = Logger(lambda level, message: wire.log(self._step, level, message))
        self._mounted: Mounted | None = None
        self._root: Root | None = None
        self._distro: Distro | None = None

    def execute(self) -> Failure | None:
        """All steps; None when every one is done or skipped, else the first failure, with nothing left mounted"""
        try:
            tasks = registry.chosen(self._layers.tasks, self._job)
        except Exception as error:
            return failure(self._step, error)
        self._wire.hide(secrets(tasks, self._job))
        devices = [item for item in tasks if item.task.phase == "devices"]
        filesystems = [item for item in tasks if item.task.phase == "filesystems"]
        names = [item.task.name for item in (*devices, *filesystems)]
        at = len(devices)
        self._wire.plan(["inspect", *names[:at], *(["mount"] if filesystems else []), *names[at:], "umount"])
        try:
            system: Devices = self._take("inspect", self._inspect)
            for item in devices:
                self._task(item, system)
            if filesystems:
                self._take("mount", lambda: self._mount(system))
            for item in filesystems:
                self._task(item, system)
            self._take("umount", self._umount)
        except StepFailed as error:
            self._layers.on_failure(self._job, self._wire)
            self._give_up()
            return error.failure
        return None

    def _inspect(self) -> Devices:
        return self._layers.inspect(self._job, self._disks, self._log, self._run)

    def _mount(self, system: Devices) -> None:
        self._mounted = self._layers.mount(system, self._log, self._run)
        # A new instance whose deployment breaks is not started; one that gets another name has to stay bootable
        self._root = Root(self._mounted.path, durable=self._job.action != "create")
        self._distro = self._layers.detect(system.os_release, self._root)
        if not self._distro.known:
            self._log.warning(f"The system in the image ({self._distro.name}) is not known here, only that it is Linux")

    def _umount(self) -> None:
        if self._root is not None:
            self._root.close()
        if self._mounted is not None:
            mounted, self._mounted = self._mounted, None
            mounted.close()
        flush(self._disks.values())

    def _give_up(self) -> None:
        try:
            self._umount()
        except Exception as error:
            self._wire.log("umount", "warning", f"could not unmount: {error}")

    def _task(self, item: registry.Entry, system: Devices) -> None:
        if reason := registry.misfit(item.task, system):
            self._wire.start(item.task.name)
            self._wire.end(item.task.name, "skipped", reason)
            return
        options = Options(item.task.options, self._job.options.get(item.task.name, {}))
        context = Context(self._job.instance, system, self._distro, options, self._log, self._run, self._root)
        self._take(item.task.name, lambda: item.run(context))

    def _take(self, name: str, do: Callable[[], Any]) -> Any:
        self._step = name
        self._wire.start(name)
        result = None
        try:
            result = do()
        except Skip as reason:
            self._wire.end(name, "skipped", str(reason))
        except Exception as error:
            told = failure(name, error)
            self._wire.end(name, "failed", told.cause)
            raise StepFailed(told) from error
        else:
            self._wire.end(name, "done")
        finally:
            self._layers.after_step()
        return result

    def _run(self, argv: Sequence[str], **arguments: Any) -> Completed:
        """`run.run`, with a sign of life to the node from time to time"""

        import signal  # late: with enum's conversions 10 ms in an emulated guest

        def beat(number: int, frame: FrameType | None) -> None:
            del number, frame
            self._wire.log(self._step, "info", f"{argv[0]} is still running")

        self._log.debug(f"run: {' '.join(argv)}")
        before = signal.signal(signal.SIGALRM, beat)
        signal.setitimer(signal.ITIMER_REAL, HEARTBEAT, HEARTBEAT)
        try:
            return run(argv, **arguments)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def secrets(tasks: Iterable[registry.Entry], job: Job) -> list[str]:
    """All texts in the job's options that a task declared secret"""
    found: list[str] = []
    for item in tasks:
        for option in item.task.options:
            value = job.options.get(item.task.name, {}).get(option.name)
            if option.secret and value is not None:
                found.extend(value if isinstance(value, (list, tuple)) else [str(value)])
    return found


def flush(devices: Iterable[str]) -> None:
    """Wait until everything written to `devices` is on them

    Raises:
        OSError: some of it could not be written
    """
    for device in devices:
        fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
