"""One task tried on a copy of an image, in a real helper, without Ganeti: what `task run --disk` does

The deployment is the usual one, onto a temporary file; only the instance is made up, and a tasks folder is made for it.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from helper_agent import taskfile
from helper_agent.declaration import DeclarationError
from helper_host import helper_image
from helper_host.errors import ProviderError
from helper_host.ganeti import environment, parameters
from helper_host.ganeti.task_options import PARAMETER, SECRETS
from helper_host.image.opening import open_image
from helper_host.image.sources import Places
from helper_host.log import Log
from helper_host.request import CREATE, Request
from helper_host.settings import Settings

if TYPE_CHECKING:
    from helper_agent.taskfile import TaskFile

MIB = 1 << 20
WHAT_MAX = 40
"""Most characters of a step's name in the timeline."""
INSTANCE = "web1.example.org"
FACTS: Mapping[str, str] = {
    "OS_API_VERSION": "20",
    "INSTANCE_UUID": "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e",
    "INSTANCE_OS": "helper",
    "INSTANCE_BE_MAXMEM": "1024",
    "HYPERVISOR": "kvm",
    "NIC_COUNT": "1",
    "NIC_0_MAC": "aa:00:00:11:22:33",
    "NIC_0_IP": "192.0.2.10",
    "NIC_0_MODE": "bridged",
    "NIC_0_NETWORK_NAME": "lab",
    "NIC_0_NETWORK_SUBNET": "192.0.2.0/24",
    "NIC_0_NETWORK_GATEWAY": "192.0.2.1",
    "DISK_COUNT": "1",
    "DISK_0_ACCESS": "rw",
    "DISK_0_BACKEND_TYPE": "file:loop",
}
"""The instance that there isn't, with addresses for documentation (RFC 5737)."""


class Trial(NamedTuple):
    """What is tried on what"""

    item: TaskFile
    """Its `source` is the file."""
    options: tuple[tuple[str, str], ...]
    """Names and values as they were typed."""
    image: str
    size: int = 0
    """Bytes of the disk; 0: the image's own size."""
    keep: str = ""
    """File that the disk stays in when all went well."""
    with_all: bool = False
    """Run all tasks in their order, not this one alone."""
    name: str = INSTANCE
    verbose: bool = False


def run(trial: Trial, settings: Settings) -> str:
    """Do it; the log goes to stderr. How the task ended: done, or skipped and why

    Raises:
        ProviderError: whatever went wrong
    """
    began = time.monotonic()
    if os.geteuid() != 0:
        raise ProviderError(
            "E-NODE", "The helper's jail needs root", "run this with sudo, or try --root FOLDER without"
        )
    if CREATE not in trial.item.task.actions:
        raise ProviderError("E-TASKS", f"{trial.item.source} is not for {CREATE}", "try it with --root FOLDER")
    _check_new(trial.item, settings)
    image = os.path.realpath(trial.image)
    import tempfile

    from helper_host import deployment

    with tempfile.TemporaryDirectory(prefix="helper-task-", dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        built_in = {row.task.name for row in helper_image.load(settings.helper_image).tasks}
        copies = _tasks(trial.item, settings.tasks_folder, f"{folder}/tasks.d", built_in)
        settings = settings.changed(
            image_folders=(os.path.dirname(image),),
            tasks_folder=f"{folder}/tasks.d",
            # not a temporary one: what is known of this machine (KVM, the helper image) is remembered there
            run_folder=f"{settings.run_folder}/tasks",
            node_hooks="",
            # there is no such instance
            progress_monitor="",
            verbose=trial.verbose or settings.verbose,
        )
        with _originals_named(copies), _disk(trial, image, settings, f"{folder}/disk") as disk:
            spans = deployment.deploy(_request(trial, image, settings, disk, began))
    remarks = [span.remark for span in spans if span.where == "helper" and span.what == trial.item.task.name[:WHAT_MAX]]
    return (remarks or ["not run"])[-1] or "done"


def _check_new(item: TaskFile, settings: Settings) -> None:
    """One that the helper image has can't be tried in another state"""
    for row in helper_image.load(settings.helper_image).tasks:
        if row.task.name == item.task.name:
            raise ProviderError(
                "E-TASKS",
                f"The helper image in {settings.helper_image} has a task {item.task.name} of its own ({row.source})",
                "build one without (make helper-image), or try the task under another name",
            )


def _tasks(item: TaskFile, usual: str, folder: str, built_in: Collection[str]) -> dict[str, str]:
    """A tasks folder: the node's own, the one that is tried, in the place of an earlier state of it, and those beside
    it that it names; copy -> original

    Args:
        built_in: tasks that the helper image has
    """
    os.mkdir(folder, 0o700)
    beside = {name: path for name, path in _files(os.path.dirname(item.source) or ".").items() if name not in built_in}
    originals = {**_files(usual), **_wanted(item, beside), item.task.name: item.source}
    copies = {}
    for original in originals.values():
        for each in (original, f"{original}.toml"):
            if os.path.isfile(each):
                copies[f"{folder}/{os.path.basename(each)}"] = each
    for copy, original in copies.items():
        _copy(original, copy)
    return copies


def _files(folder: str) -> dict[str, str]:
    """Name of a task -> its file, of a folder that may not be there"""
    try:
        names = taskfile.among(os.listdir(folder))
    except OSError:
        return {}
    return {taskfile.task_name(name): f"{folder}/{name}" for name in names if os.path.isfile(f"{folder}/{name}")}


def _wanted(item: TaskFile, beside: Mapping[str, str]) -> dict[str, str]:
    """Those of the files `beside` it that `item` is to run after or before, and those that these name in turn"""
    wanted: dict[str, str] = {}
    left = [item]
    while left:
        task = left.pop().task
        for name in {*task.after, *task.before} & beside.keys() - {item.task.name, *wanted}:
            wanted[name] = beside[name]
            left.append(_read(beside[name]))
    return wanted


def _read(path: str) -> TaskFile:
    sidecar = f"{path}.toml"
    try:
        with open(path, "rb") as file:
            content = file.read(taskfile.SIZE_MAX + 1)
        declared = None
        if os.path.isfile(sidecar):
            with open(sidecar, "rb") as file:
                declared = file.read(taskfile.SIZE_MAX + 1)
        return taskfile.read(path, content, declared)
    except OSError as error:
        raise ProviderError("E-TASKS", f"{path} can't be read ({error.strerror})", "look at its mode") from None
    except DeclarationError as error:
        raise ProviderError(
            "E-TASKS", f"{path} {error}", f"see what else: ganeti-instance-helper task lint {path}"
        ) from None


@contextmanager
def _originals_named(copies: Mapping[str, str]) -> Iterator[None]:
    """An error names the author's files, not those in a folder that is gone when it is read"""
    try:
        yield
    except ProviderError as error:
        cause = error.cause
        for copy in sorted(copies, key=len, reverse=True):
            cause = cause.replace(copy, copies[copy])
        raise ProviderError(error.code, cause, error.remedy) from error


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as file, open(target, "xb") as copy:
        copy.write(file.read())
    os.chmod(target, 0o700)


@contextmanager
def _disk(trial: Trial, image: str, settings: Settings, temporary: str) -> Iterator[str]:
    """An empty file of the right size; what is to be kept goes again when something fails"""
    path = os.path.abspath(trial.keep) if trial.keep else temporary
    opened = open_image(image, places=Places(settings.image_store, settings.image_folders))
    assert opened is not None
    with opened:
        needed = trial.size or opened.virtual_size
        if needed is None:
            raise ProviderError(
                "E-PARAMETER", f"{trial.image} doesn't say how large its disk is", "say it: --size, as in --size 10G"
            )
        size = -(-needed // MIB) * MIB
    try:
        with open(path, "xb") as file:
            file.truncate(size)
    except OSError as error:
        raise ProviderError("E-DISK-IO", f"{path} can't be made ({error.strerror})", "give another file") from None
    try:
        yield path
    except BaseException:
        os.unlink(path)
        # the deployment has just told what state an instance's disk is in
        Log().info(f"That disk was a copy, which is gone; {trial.image} is as it was.")
        raise


def _request(trial: Trial, image: str, settings: Settings, disk: str, began: float) -> Request:
    secret = {option.name for option in trial.item.task.options if option.secret}
    given: dict[str, list[str]] = {PARAMETER: [], SECRETS: []}
    for name, text in trial.options:
        given[SECRETS if name in secret else PARAMETER].append(shlex.quote(f"{trial.item.task.name}.{name}={text}"))
    variables = {
        **FACTS,
        "INSTANCE_NAME": trial.name,
        "DISK_0_PATH": disk,
        "DISK_0_SIZE": str(os.stat(disk).st_size // MIB),
        parameters.variable("image"): image,
        **{parameters.variable(name): " ".join(words) for name, words in given.items() if words},
    }
    # defaults for OS parameters may name other tasks' options, or this task among those to skip
    defaults = settings.parameters if trial.with_all else {}
    return Request(
        CREATE,
        environment.read(variables),
        parameters.parse(variables, defaults),
        settings,
        Log(verbose=settings.verbose),
        began,
        parameters.without_secrets(variables),
        only_tasks=() if trial.with_all else (trial.item.task.name,),
    )
