"""The job: everything that the node tells the agent about one run, as a JSON document on the config drive

Encode beside decode, as in `helper_agent.protocol`; `PROTOCOL_VERSION` is this schema's as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helper_agent import strict_json
from helper_agent.protocol import PROTOCOL_VERSION
from helper_agent.records import NamedTuple
from helper_agent.strict_json import ProtocolError

JOB_FILE = "JOB.JSON"
"""The job's name on the config drive, an ISO 9660 level 1 identifier (ECMA-119 section 7.5)."""
JOB_MAX = 16 * 1024 * 1024
"""Most bytes of the job document."""
CONTENT_MAX = 68 * 1024 * 1024
"""Most bytes of an option of the kind bytes: 64 MiB of files, and what an archive adds to them."""


class Disk(NamedTuple):
    """One disk of the instance, found in the guest by `serial`"""

    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody needs here
    """Ganeti's: 0, 1, ..."""
    serial: str
    """virtio-blk serial in the helper."""
    size: int
    """Bytes."""


class Network(NamedTuple):
    """The Ganeti network of a NIC; empty strings where Ganeti has no value. CIDR notation for subnets."""

    name: str
    """As in `gnt-network list`."""
    subnet: str
    """Such as 192.0.2.0/24."""
    gateway: str
    """Address."""
    subnet6: str
    """Such as 2001:db8::/64."""
    gateway6: str
    """Address."""
    tags: tuple[str, ...]
    """Of the network."""


class Nic(NamedTuple):
    """One network interface; `ip` as Ganeti has it: "" for none, else an IPv4 or IPv6 address"""

    index: int  # type: ignore[assignment]  # shadows tuple.index, which nobody needs here
    """Ganeti's: 0, 1, ..."""
    mac: str
    """Such as aa:00:00:11:22:33."""
    ip: str
    """As Ganeti has it; "" for none."""
    mode: str
    """bridged, routed, openvswitch."""
    network: Network | None
    """None where Ganeti knows of none."""


class Instance(NamedTuple):
    """Ganeti's facts about the instance"""

    name: str
    """The instance's name, usually a whole domain name."""
    uuid: str
    """It never changes, also when the name does."""
    memory: int
    """MiB (INSTANCE_BE_MAXMEM or _MEMORY); 0 where unknown."""
    disks: tuple[Disk, ...]
    """By their index."""
    nics: tuple[Nic, ...]
    """By their index."""


class TaskFile(NamedTuple):
    """An image author's task that comes with the job; its content is a file of the config drive"""

    payload: str
    """The file's name on the config drive, an ISO 9660 level 1 identifier."""
    source: str
    """Where the node has it from, for messages."""
    kind: str
    """python or program."""
    heading: str
    task: Mapping[str, Any]
    """Its declaration, as `declaration.plain` makes it."""


class Content(NamedTuple):
    """The value of a task's option of the kind bytes; it is a file of the config drive"""

    task: str
    option: str
    payload: str
    """The file's name on the config drive, an ISO 9660 level 1 identifier."""


class Job(NamedTuple):
    """Everything the agent needs for one run"""

    version: int
    nonce: str
    action: str
    """create, or rename: which tasks run (see `Task.actions`)."""
    instance: Instance
    os_family: str
    """linux, or "" to find out."""
    root_partition: str
    """A partition number of disk 0, "none" for a disk that is one filesystem, or "" to find out."""
    skip_tasks: tuple[str, ...]
    options: Mapping[str, Mapping[str, Any]]
    """Task -> option -> value (str, int, bool, or list of str); only what was set. Bytes are in `contents`."""
    verbose: bool
    debug_shell: bool
    tasks: tuple[TaskFile, ...] = ()
    """Tasks on top of those in the helper image."""
    only_tasks: tuple[str, ...] = ()
    """The only tasks that are run; empty: all that belong to the action."""
    image_description: bool = True
    """Whether the image's own description (`description.IN_IMAGE`) counts."""
    image_tasks: bool = False
    """The settings allow that programs in the image replace tasks, as snf-image's overwrite_task_NAME do."""
    properties: Mapping[str, str] = {}
    """snf-image's image properties, names in upper case: for programs, and for what the agent knows of them."""
    variables: Mapping[str, str] = {}
    """Ganeti's own INSTANCE_*, NIC_*, HYPERVISOR of the OS interface, for programs; never an OS parameter."""
    contents: tuple[Content, ...] = ()
    """Options on top of `options`, those of the kind bytes."""


def encode_job(job: Job) -> bytes:
    """The job as the JSON document that goes onto the config drive"""
    return strict_json.dumps(strict_json.plain(job, JOB_MAX))


def decode_job(document: bytes) -> Job:
    """The job in `document`

    Raises:
        ProtocolError: unknown or missing keys, wrong types, another version
    """
    if len(document) > JOB_MAX:
        raise ProtocolError(f"a job of more than {JOB_MAX} bytes")
    body = strict_json.parse(document)
    if not isinstance(body, dict):
        raise ProtocolError("a job that is not an object")
    if body.get("version") != PROTOCOL_VERSION:
        raise ProtocolError(f"a job of another version than {PROTOCOL_VERSION}")
    return strict_json.build(Job, body, "Job")
