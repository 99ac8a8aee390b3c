"""The job: what the agent gets to know of a run, and the files that go with it"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from helper_agent import declaration, protocol
from helper_agent.job import Content, Job, TaskFile
from helper_host.customisation import Customisation
from helper_host.ganeti import properties
from helper_host.ganeti.environment import passed_on, protocol_instance
from helper_host.packing.archive import Archive
from helper_host.request import Request
from helper_host.tasks import Tasks
from helper_host.vm.job import Payload

PAYLOAD = "TASK{:04}.BIN"
CONTENT = "DATA{:04}.BIN"
"""ISO 9660 level 1 identifiers (ECMA-119 section 7.5)."""


class Made(NamedTuple):
    """A job, ready for the config drive"""

    job: Job
    payloads: dict[str, Payload]
    """The tasks' files and the contents of options, by their names on the config drive."""
    fingerprints: tuple[str, ...]
    """Of the new SSH host keys, for the log."""


def make(request: Request, planned: Customisation, nonce: str) -> Made:
    """The job; takes up to a second of CPU: call it in a thread

    Raises:
        ProviderError: E-NODE
    """
    # late: cryptography alone takes 40 ms to import, and the VM boots meanwhile
    from helper_host.ganeti.facts import Facts
    from helper_host.ganeti.options import task_options

    own_host_keys = planned.layers.has("host-keys", "private_keys")
    wanted = [name for name in planned.wanted if name != "host-keys" or not own_host_keys]
    hashing = planned.properties.get(properties.HASHING, "").strip()
    instance = Facts(request.instance.name, request.instance.uuid, request.instance.memory)
    made = task_options(planned.parameters, wanted=wanted, instance=instance, hashing=hashing)
    files, payloads = task_files(planned.tasks)
    options, contents, more = without_contents(planned.options(made.options))
    settings = request.settings
    job = Job(
        version=protocol.PROTOCOL_VERSION,
        nonce=nonce,
        action=request.action,
        instance=protocol_instance(request.instance),
        os_family=planned.os_family,
        root_partition=planned.root_partition,
        skip_tasks=planned.skipped,
        options=options,
        verbose=settings.verbose,
        debug_shell=settings.debug_shell,
        tasks=files,
        only_tasks=request.only_tasks,
        image_description=request.parameters.image_description,
        image_tasks=settings.image_tasks,
        properties=planned.properties,
        variables=passed_on(request.variables),
        contents=contents,
    )
    return Made(job, {**payloads, **more}, made.fingerprints)


def task_files(tasks: Tasks) -> tuple[tuple[TaskFile, ...], dict[str, Payload]]:
    """The tasks that go to the helper with the job, and their content by the names they get on the config drive"""
    files: list[TaskFile] = []
    payloads: dict[str, Payload] = {}
    for number, row in enumerate(tasks.shipped):
        name = PAYLOAD.format(number)
        files.append(TaskFile(name, row.source, row.kind, row.heading, declaration.plain(row.task)))
        payloads[name] = row.content or b""
    return tuple(files), payloads


def without_contents(
    options: Mapping[str, Mapping[str, Any]],
) -> tuple[dict[str, dict[str, Any]], tuple[Content, ...], dict[str, Payload]]:
    """`options` without those of the kind bytes; these, and their content by the names they get on the config drive"""
    rest: dict[str, dict[str, Any]] = {}
    contents: list[Content] = []
    payloads: dict[str, Payload] = {}
    for task, values in options.items():
        rest[task] = {}
        for option, value in values.items():
            if isinstance(value, (bytes, Archive)):
                name = CONTENT.format(len(contents))
                contents.append(Content(task, option, name))
                payloads[name] = value
            else:
                rest[task][option] = value
    return rest, tuple(contents), payloads
