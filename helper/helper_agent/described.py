"""What the image's own description changes about a run: it counts where neither job nor settings say anything"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from helper_agent import declaration, registry
from helper_agent.api import TaskError
from helper_agent.description import IN_IMAGE, SIZE_MAX, Description, DescriptionError, parse
from helper_agent.inspection import FAMILIES

if TYPE_CHECKING:
    from helper_agent.api import Logger, Task
    from helper_agent.job import Job
    from helper_agent.root import Root

REMEDY = "correct the file in the image, or let it not count: image_description=no"
USERS = "users"
"""The option of any task that the description's `users` fill."""


def read(root: Root) -> Description | None:
    """The description in the image's tree, None where there is none

    Raises:
        TaskError: E-OPTION, it is no such thing
    """
    try:
        return parse(root.read(IN_IMAGE, limit=SIZE_MAX))
    except FileNotFoundError:
        return None
    except TaskError as error:
        raise broken(f"can't be read: {error.cause}") from None
    except DescriptionError as error:
        raise broken(str(error)) from None


def broken(what: str) -> TaskError:
    """The error for a description that can't be read; `what` follows the file's name"""
    return TaskError(f"The image's own description, {IN_IMAGE}, {what}", REMEDY, code="E-OPTION")


def check(description: Description, job: Job) -> None:
    """Whether this instance is for the image

    Raises:
        TaskError: E-OPTION
    """
    family = "" if job.os_family else description.os_family
    if family and family not in FAMILIES:
        raise broken(f"says os_family = {family!r}; this helper knows {', '.join(FAMILIES)}")
    size = next((disk.size for disk in job.instance.disks if disk.index == 0), 0)
    if size < description.min_disk:
        raise TaskError(
            f"The image wants a first disk of {description.min_disk >> 20} MiB at least ({IN_IMAGE}), this one has "
            f"{size >> 20} MiB",
            f"give the instance a larger disk; {REMEDY}",
            code="E-OPTION",
        )


def merged(description: Description, job: Job, tasks: Iterable[Task], log: Logger) -> Job:
    """`job` with what the description adds: options that are not set, and tasks to skip

    Args:
        tasks: all there are, those that won't run too

    Raises:
        TaskError: E-OPTION, a value that doesn't fit its option
    """
    known = {task.name: task for task in tasks}
    for remark in description.remarks:
        log.warning(f"{IN_IMAGE} {remark}")
    options = {name: dict(values) for name, values in job.options.items()}
    for name, values in _known(description.options, known, "has options of", log).items():
        options[name] = {**_usable(known[name], values, log), **options.get(name, {})}
    if description.users:
        for task in known.values():
            if any(option.name == USERS and option.kind == "list" for option in task.options):
                options.setdefault(task.name, {}).setdefault(USERS, description.users)
    skipped = _known(dict.fromkeys(description.skip_tasks), known, "skips", log)
    # Who names the tasks that are to run has said more than the image's author
    skip = [name for name in skipped if name not in job.only_tasks]
    shipped = {item.task.get("name") for item in job.tasks}
    for name in skip:
        if name in shipped:
            log.warning(f"{IN_IMAGE} leaves out {name}, which the node has set up")
    return job._replace(options=options, skip_tasks=(*job.skip_tasks, *skip))


def _known(named: Mapping[str, Any], known: Mapping[str, Task], what: str, log: Logger) -> dict[str, Any]:
    """What is said of tasks that there are; the image may be made for a node that has more"""
    for name in named:
        if name not in known:
            log.warning(f"{IN_IMAGE} {what} {name!r}, which is no task here")
    return {name: value for name, value in named.items() if name in known}


def _usable(task: Task, values: Mapping[str, Any], log: Logger) -> dict[str, Any]:
    """Those of the `values` for `task` that it has, and that don't belong into an image

    Raises:
        TaskError: E-OPTION
    """
    declared = {option.name: option for option in task.options}
    usable = {}
    for name, value in values.items():
        if name not in declared:
            log.warning(f"{IN_IMAGE} sets {name!r}, which is no option of the task {task.name}")
        elif declared[name].secret:
            log.warning(f"{IN_IMAGE} sets {name} of the task {task.name}, a secret; in an image it doesn't count")
        else:
            usable[name] = value
    try:
        usable = declaration.decoded(task, usable)
    except declaration.OptionError as error:
        raise broken(f"doesn't fit: {error}") from None
    try:
        registry.check_options(task, usable)
    except TaskError as error:
        raise broken(f"doesn't fit: {error.cause}") from None
    return usable
