"""One task on one folder, through the agent's own run: options, fit, time limit, taking back and log are the real ones

Only what stands on disks is not there: nothing is inspected or mounted, the folder is the image's tree.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from helper_agent import declaration, outside, protocol
from helper_agent.api import Context
from helper_agent.distros import base
from helper_agent.inspection import Devices
from helper_agent.job import Instance, Job
from helper_agent.job import TaskFile as Shipped
from helper_agent.protocol import Log, StepEnd
from helper_agent.registry import Entry
from helper_agent.release import assignments
from helper_agent.root import Root
from helper_agent.run import Completed, run
from helper_agent.steps import Layers, Run
from helper_agent.taskfile import PROGRAM, TaskFile
from helper_agent.wire import Wire
from helper_kit.fake_tree import Tree
from helper_kit.program import program
from helper_kit.recorded import Recorded

PAYLOAD = "TASK0000.BIN"


class Rehearsal(NamedTuple):
    """How it went"""

    outcome: str
    """done, skipped, or failed: of an optional task it is skipped too, and everything taken back."""
    detail: str
    """Why it was skipped or failed."""
    log: Recorded
    """Its lines as the node would get them, secrets struck out."""
    failure: protocol.Failure | None
    """What the node would say."""
    error: BaseException | None
    """What the task raised."""


class Stage(NamedTuple):
    """What a task is run with; everything has a use in a test, little of it in most"""

    instance: Instance
    action: str = "create"
    run: Callable[..., Completed] | None = None
    """In the place of `helper_agent.run.run`, and of what runs the image's programs; None: those themselves."""
    devices: Mapping[str, Any] = {}
    """Fields of `inspection.Devices` that are to be other than in `DEVICES`."""
    variables: Mapping[str, str] = {}
    """On top of INSTANCE_NAME."""
    properties: Mapping[str, str] = {}


DEVICES = Devices(
    disks={0: "/dev/vda"},
    disk="/dev/vda",
    table=None,
    filesystems=(),
    root_device="/dev/vda1",
    root_type="ext4",
    root_options=(),
    root_number=1,
    os_release={},
    family="linux",
    fstab=(),
)
"""What was found on the disks, as far as a folder can have it; the os-release is the tree's own."""


def rehearse(file: TaskFile, tree: Tree, options: Mapping[str, Any], stage: Stage) -> Rehearsal:
    """Run the task in `file` on `tree`"""
    caught: list[BaseException] = []
    fd = os.memfd_create("events")
    try:
        with tempfile.TemporaryDirectory(prefix="task-") as folder:
            entry = _entry(file, folder, caught)
            wire = Wire(fd)
            wire.verbose = True
            failure = Run(_job(file, options, stage), wire, _layers(entry, tree, stage), {}).execute()
        return _told(fd, file.task.name, failure, caught[-1] if caught else None)
    finally:
        os.close(fd)


def _entry(file: TaskFile, folder: str, caught: list[BaseException]) -> Entry:
    """The task; what it raises is noted in `caught`

    Args:
        folder: for a program's file
    """
    if file.kind == PROGRAM:
        do = program(file, folder)
    else:
        record = Shipped(PAYLOAD, file.source, file.kind, file.heading, declaration.plain(file.task))
        do = outside.from_job((record,), {PAYLOAD: file.content})[0].run

    def noted(context: Context) -> None:
        try:
            do(context)
        except BaseException as error:
            caught.append(error)
            raise

    return Entry(file.task, noted, file.heading, file.source, file.kind)


def _job(file: TaskFile, options: Mapping[str, Any], stage: Stage) -> Job:
    return Job(
        version=protocol.PROTOCOL_VERSION,
        nonce="rehearsal",
        action=stage.action,
        instance=stage.instance,
        os_family="",
        root_partition="",
        skip_tasks=(),
        options={file.task.name: dict(options)} if options else {},
        verbose=True,
        debug_shell=False,
        properties=stage.properties,
        variables={"INSTANCE_NAME": stage.instance.name, **stage.variables},
    )


def _layers(entry: Entry, tree: Tree, stage: Stage) -> Layers:
    def inspect(*_: object) -> Devices:
        root = tree.root()
        text = root.read_text_or("/etc/os-release") or root.read_text_or("/usr/lib/os-release")
        return DEVICES._replace(**{"os_release": assignments(text), **stage.devices})

    def mount(*_: object) -> Any:
        return SimpleNamespace(path=str(tree.path), close=lambda: None)

    def open_tree(_: str, *, durable: bool) -> Root:
        return tree.root(durable=durable)

    def run_in_image(_: str, argv: Sequence[str], **arguments: Any) -> Completed:
        assert stage.run is not None
        return stage.run(argv, **arguments)

    return Layers(
        tasks=(entry,),
        inspect=inspect,
        mount=mount,
        detect=base.detect,
        after_step=lambda: None,
        on_failure=lambda *_: None,
        open_tree=open_tree,
        run=stage.run or run,
        run_in_image=run_in_image if stage.run else None,
    )


def _told(fd: int, name: str, failure: protocol.Failure | None, error: BaseException | None) -> Rehearsal:
    """What the agent said about the task `name`"""
    os.lseek(fd, 0, os.SEEK_SET)
    log, outcome, detail = Recorded(), "", ""
    with open(fd, "rb", closefd=False) as lines:
        for line in lines:
            event = protocol.decode(line)
            if isinstance(event, Log) and event.step == name:
                log.lines.append((event.level, event.message))
            elif isinstance(event, StepEnd) and event.step == name:
                outcome, detail = event.outcome, event.detail
    return Rehearsal(outcome or "failed", detail or (failure.cause if failure else ""), log, failure, error)
