"""The job: what the agent gets to know of a run, and the files that go with it"""

from __future__ import annotations

from typing import NamedTuple

from helper_agent import declaration, protocol
from helper_host.customisation import Customisation
from helper_host.ganeti import properties
from helper_host.ganeti.environment import passed_on, protocol_instance
from helper_host.request import Request
from helper_host.tasks import Tasks

PAYLOAD = "TASK{:04}.BIN"
"""An ISO 9660 level 1 identifier (ECMA-119 section 7.5)."""


class Made(NamedTuple):
    """A job, ready for the config drive"""

    job: protocol.Job
    payloads: dict[str, bytes]
    """The tasks' files by their names on the config drive."""
    fingerprints: tuple[str, ...]
    """Of the new SSH host keys, for the log."""


def make(request: Request, planned: Customisation, nonce: str) -> Made:
    """The job; takes up to a second of CPU: call it in a thread

    Raises:
        ProviderError: E-NODE
    """
    # late: cryptography alone takes 40 ms to import, and the VM boots meanwhile
    from helper_host.ganeti.options import task_options

    own_host_keys = planned.layers.has("host-keys", "private_keys")
    wanted = [name for name in planned.wanted if name != "host-keys" or not own_host_keys]
    hashing = planned.properties.get(properties.HASHING, "").strip()
    instance = request.instance
    made = task_options(
        planned.parameters, wanted=wanted, name=instance.name, instance_uuid=instance.uuid, hashing=hashing
    )
    files, payloads = task_files(planned.tasks)
    settings = request.settings
    job = protocol.Job(
        version=protocol.PROTOCOL_VERSION,
        nonce=nonce,
        action=request.action,
        instance=protocol_instance(request.instance),
        os_family=planned.os_family,
        root_partition=planned.root_partition,
        skip_tasks=planned.skipped,
        options=planned.options(made.options),
        verbose=settings.verbose,
        debug_shell=settings.debug_shell,
        tasks=files,
        only_tasks=request.only_tasks,
        image_description=request.parameters.image_description,
        image_tasks=settings.image_tasks,
        properties=planned.properties,
        variables=passed_on(request.variables),
    )
    return Made(job, payloads, made.fingerprints)


def task_files(tasks: Tasks) -> tuple[tuple[protocol.TaskFile, ...], dict[str, bytes]]:
    """The tasks that go to the helper with the job, and their content by the names they get on the config drive"""
    files, payloads = [], {}
    for number, row in enumerate(tasks.shipped):
        name = PAYLOAD.format(number)
        files.append(protocol.TaskFile(name, row.source, row.kind, row.heading, declaration.plain(row.task)))
        payloads[name] = row.content or b""
    return tuple(files), payloads
