"""One run: inspect, the tasks on devices, mount, the tasks on the tree, umount; each a step the node is told of"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from helper_agent import clock, declaration, protocol, registry
from helper_agent.api import Context, Logger, Options, Skip
from helper_agent.attempt import NotTakenBack, attempt
from helper_agent.failures import failure
from helper_agent.job import Job
from helper_agent.protocol import Failure
from helper_agent.records import NamedTuple
from helper_agent.root import Root
from helper_agent.run import Completed, run
from helper_agent.wire import Wire

if TYPE_CHECKING:
    from helper_agent.api import Task
    from helper_agent.disk.volumes import Volumes
    from helper_agent.distros.base import Distro
    from helper_agent.inspection import Devices

OVERWRITING = "ALLOW_MOUNTED_TASK_OVERWRITING"
"""snf-image's property by which an image asks that its programs replace tasks."""

SECRET_MAX = 64 * 1024
"""Bytes of a secret content whose lines are struck out of what tasks log."""
SECRET_LINE = 8
"""Characters of such a line at least."""
SECRET_LINES = 500

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
    open_tree: Callable[..., Root] = Root
    """The path API on what was mounted."""
    run: Runner = run
    """Runs the helper's programs."""
    run_in_image: Runner | None = None
    """Runs the image's programs, the tree's path first; None: `image_programs.run`."""


class StepFailed(Exception):
    """A step failed and the node was told; carries the `Failure` for the result"""

    def __init__(self, told: Failure) -> None:
        super().__init__(told.cause)
        self.failure = told


class Run:
    """Takes one job through its steps

    Args:
        disks: the device paths by Ganeti's disk index
        payloads: what came with the job on the config drive, by name
    """

    def __init__(
        self,
        job: Job,
        wire: Wire,
        layers: Layers,
        disks: Mapping[int, str],
        payloads: Mapping[str, bytes] | None = None,
    ) -> None:
        self._job = job
        self._wire = wire
        self._layers = layers
        self._disks = disks
        self._payloads = payloads or {}
        self._step = "options"
        self._log = Logger(self._send)
        self._known: tuple[registry.Entry, ...] = layers.tasks
        self._described: tuple[str, ...] = ()
        """Tasks that the image's description skips."""
        self._replaceable = False
        """Programs in the image may replace tasks."""
        self._command = ""
        """The command that runs now."""
        self._task: registry.Entry | None = None
        """The task that is at work now."""
        self._volumes: Volumes | None = None
        """What lies open below what is mounted."""
        self._mounted: Mounted | None = None
        self._root: Root | None = None
        self._distro: Distro | None = None

    def execute(self) -> Failure | None:
        """All steps; None when every one is done or skipped, else the first failure, with nothing left mounted"""
        try:
            self._job = with_contents(self._job, self._payloads)
            self._known = self._all_tasks()
            tasks = registry.chosen(self._known, self._job)
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
                self._take_task(item, system)
            if filesystems:
                self._take("mount", lambda: self._mount(system))
            for item in filesystems:
                self._take_task(item, system)
            self._take("umount", self._umount)
        except StepFailed as error:
            self._layers.on_failure(self._job, self._wire)
            self._give_up()
            return error.failure
        return None

    def _all_tasks(self) -> tuple[registry.Entry, ...]:
        """Those of the helper image and those of the job, in one order; the node has checked that there is one

        Raises:
            RegistryError
        """
        if not self._job.tasks:
            return self._layers.tasks
        from helper_agent import outside

        return registry.ordered((*self._layers.tasks, *outside.from_job(self._job.tasks, self._payloads)))

    # --- the agent's own steps ---

    def _inspect(self) -> Devices:
        system = self._layers.inspect(self._job, self._disks, self._log, self._run)
        self._volumes = system.volumes
        asked = self._overwriting_asked()
        if system.description is not None:
            from helper_agent import described

            described.check(system.description, self._job)
            before = self._job.skip_tasks
            tasks = [item.task for item in self._known]
            self._job = described.merged(system.description, self._job, tasks, self._log)
            self._described = self._job.skip_tasks[len(before) :]
            asked = asked or system.description.image_tasks
        self._replaceable = asked and self._job.image_tasks
        if asked and not self._replaceable:
            self._log.warning("The image's own programs replace no tasks: the setting image_tasks doesn't allow it")
        return system

    def _overwriting_asked(self) -> bool:
        value = self._job.properties.get(OVERWRITING)
        if value is None:
            return False
        from helper_agent import snf

        return snf.flag(value) is not False

    def _mount(self, system: Devices) -> None:
        self._mounted = self._layers.mount(system, self._log, self._run)
        # A new instance whose deployment breaks is not started; one that gets another name has to stay bootable
        self._root = self._layers.open_tree(self._mounted.path, durable=self._job.action != "create")
        self._distro = self._layers.detect(system.os_release, self._root)
        if not self._distro.known:
            self._log.warning(f"The system in the image ({self._distro.name}) is not known here, only that it is Linux")

    def _umount(self) -> None:
        try:
            if self._root is not None:
                self._root.close()
            if self._mounted is not None:
                mounted, self._mounted = self._mounted, None
                mounted.close()
        finally:
            if self._volumes is not None:
                self._volumes.close()
        flush(self._disks.values())

    def _give_up(self) -> None:
        try:
            self._umount()
        except Exception as error:
            self._wire.log("umount", "warning", f"could not unmount: {error}")

    # --- tasks ---

    def _take_task(self, item: registry.Entry, system: Devices) -> None:
        name = item.task.name
        asked = declaration.has_what_it_needs(item.task, self._job.options.get(name, {}))
        # a program in the image that replaces the task has its own mind
        if not asked and not self._replaceable:
            self._wire.end(name, "skipped", protocol.NOT_ASKED)
            return
        reason = registry.misfit(item.task, system)
        if name in self._described:
            reason = "the image's description says so"
        if reason:
            self._wire.start(name)
            self._wire.end(name, "skipped", reason)
            return
        context = self._context(item.task, system)
        self._task = item
        try:
            self._take(
                name,
                lambda: attempt(item, context, self._root, self._beat, replaceable=self._replaceable),
                optional=item.task.optional,
            )
        finally:
            self._task = None

    def _context(self, task: Task, system: Devices) -> Context:
        return Context(
            instance=self._job.instance,
            devices=system,
            detected=self._distro,
            options=Options(task.options, self._job.options.get(task.name, {})),
            log=self._log,
            run=self._run,
            mounted=self._root,
            task=task,
            action=self._job.action,
            variables=self._job.variables,
            properties=self._job.properties,
            network=self._job.options.get("network", {}),
            in_image=self._run_in_image,
        )

    # --- any step ---

    def _take(self, name: str, do: Callable[[], Any], *, optional: bool = False) -> Any:
        self._step = name
        self._wire.start(name)
        result = None
        try:
            with clock.limit(None, beat=self._beat):
                result = do()
        except Skip as reason:
            self._wire.end(name, "skipped", str(reason))
        except BaseException as error:
            told = failure(name, error)
            if not optional or isinstance(error, NotTakenBack):
                self._wire.end(name, "failed", told.cause)
                raise StepFailed(told) from error
            self._warn_of(told)
            self._wire.end(name, "skipped", f"failed: {told.cause}")
        else:
            self._wire.end(name, "done")
        finally:
            self._layers.after_step()
        return result

    def _warn_of(self, told: Failure) -> None:
        """An optional task has failed"""
        remedy = f"; {told.remedy}" if told.remedy else ""
        self._log.warning(f"This optional task failed, {self._remains()}: {told.cause}{remedy}")
        for line in told.output.splitlines():
            self._log.warning(line)

    def _remains(self) -> str:
        """What of a task that failed is still there: only what goes through the path API can be taken back"""
        item = self._task
        if item is not None and (item.task.phase == "devices" or item.task.privileges):
            return "what programs that it ran have changed may remain"
        return "nothing of it remains"

    def _send(self, level: str, message: str) -> None:
        # A line that is cut in two by a task's time limit would end the conversation with the node
        with clock.shielded():
            self._wire.log(self._step, level, message)

    def _beat(self) -> None:
        """A sign of life to the node, of what may take long; the agent's own Python may not"""
        if self._command:
            self._send("info", f"{self._command} is still running")
        elif self._task is not None:
            self._send("info", "still at work")

    def _run(self, argv: Sequence[str], **arguments: Any) -> Completed:
        """`run.run`, with a sign of life to the node from time to time"""
        self._log.debug(f"run: {' '.join(argv)}")
        self._command = argv[0]
        try:
            return self._layers.run(argv, **arguments)
        finally:
            self._command = ""

    def _run_in_image(self, tree: str, argv: Sequence[str], **arguments: Any) -> Completed:
        """`image_programs.run`, likewise"""
        do = self._layers.run_in_image
        if do is None:
            from helper_agent import image_programs

            do = image_programs.run
        self._log.debug(f"run in the image: {' '.join(argv)}")
        if devices := arguments.get("devices"):
            self._log.info(f"{argv[0]} of the image gets {', '.join(devices)}")
        self._command = argv[0]
        try:
            return do(tree, argv, **arguments)
        finally:
            self._command = ""


def with_contents(job: Job, payloads: Mapping[str, bytes]) -> Job:
    """`job` with those of its options that are files of the config drive"""
    if not job.contents:
        return job
    options: dict[str, dict[str, Any]] = {name: dict(values) for name, values in job.options.items()}
    for content in job.contents:
        options.setdefault(content.task, {})[content.option] = payloads[content.payload]
    return job._replace(options=options, contents=())


def secrets(tasks: Iterable[registry.Entry], job: Job) -> list[str]:
    """All texts in the job's options that a task declared secret"""
    found: list[str] = []
    for item in tasks:
        for option in item.task.options:
            value = job.options.get(item.task.name, {}).get(option.name)
            if option.secret and value is not None:
                found.extend(_texts(value))
    return found


def _texts(value: Any) -> list[str]:
    """What of a secret value could be seen in a log"""
    if isinstance(value, bytes):
        lines = value.decode("utf-8", "replace").replace("\0", "\n").splitlines() if len(value) <= SECRET_MAX else []
        return [line for line in map(str.strip, lines) if len(line) >= SECRET_LINE][:SECRET_LINES]
    return list(value) if isinstance(value, (list, tuple)) else [str(value)]


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
