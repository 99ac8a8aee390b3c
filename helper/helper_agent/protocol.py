"""The wire format between node and agent, and the job's schema

Everything both ends must agree on lives here and only here, encode beside decode. Standard library only: the node
imports this module from the installed package, the agent from the helper image, and `PROTOCOL_VERSION` says whether
they can talk. NamedTuples rather than dataclasses, because importing `dataclasses` costs a tenth of a second in an
emulated guest.

An event is one line: a JSON object in UTF-8 with a final newline, at most `MESSAGE_MAX` bytes. The decoder is strict,
since the sender may be hostile: no duplicate or unknown keys, no NaN, no number beyond 64 bits, no nesting deeper than
a schema has, exact types (a bool is not an int).
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, TypeVar, Union

from helper_agent.records import NamedTuple

AGENT_VERSION = "0.1.0"
PROTOCOL_VERSION = 1

PORT_NAME = "org.ganeti.instance-helper.0"
"""Name of the virtio-serial port, as in `/sys/class/virtio-ports/*/name`."""
ROOT_SERIAL = "helper-root"
"""virtio-blk serial of the helper's read-only root."""
JOB_SERIAL = "helper-job"
"""virtio-blk serial of the config drive."""
JOB_FILE = "JOB.JSON"
"""The job's name on the config drive, an ISO 9660 level 1 identifier (ECMA-119 section 7.5)."""
IMAGE_DESCRIPTION = "/etc/ganeti-instance-helper/image.toml"
"""Where an image has its own description (`helper_agent.description`)."""

MESSAGE_MAX = 64 * 1024
"""Most bytes of one event, newline included."""
TOTAL_MAX = 1024 * 1024
"""Most bytes of all events of one run."""
MESSAGES_MAX = 2000
"""Most events of one run."""
JOB_MAX = 16 * 1024 * 1024
"""Most bytes of the job document."""

INT_MAX = 2**63 - 1
FLOAT_MAX = 1e9
DEPTH_MAX = 16

GO = b'{"type":"go"}\n'
"""The node's only word: the disks and the job are complete, touch them now."""


def disk_serial(index: int) -> str:
    """virtio-blk serial of the instance's disk `index` (Ganeti's DISK_n); virtio allows 20 bytes"""
    return f"disk-{index}"


class ProtocolError(Exception):
    """The other side broke the protocol; the message says how, without quoting more than a few escaped characters"""


# --- events, agent to node ------------------------------------------------------------------------------------------


class Hello(NamedTuple):
    """First event: the agent runs and waits for `GO`; it has touched no disk of the instance"""

    protocol: int
    agent: str
    t: float
    """Seconds since the guest's kernel started (CLOCK_BOOTTIME)."""


class Plan(NamedTuple):
    """The steps this run will take, in order; each must be accounted for by a `StepEnd`"""

    steps: tuple[str, ...]
    t: float


class StepStart(NamedTuple):
    """A step (a task, or one of the agent's own: inspect, mount, umount) begins"""

    step: str
    t: float


class StepEnd(NamedTuple):
    """A step ended; `outcome` is done, skipped (nothing to do here; `detail` says why) or failed"""

    step: str
    outcome: str
    detail: str
    t: float


class Log(NamedTuple):
    """A line for the node's log; `level` is debug, info or warning"""

    level: str
    step: str
    message: str
    t: float


class Failure(NamedTuple):
    """Why a run failed: which step, one of `FAILURES`, cause and remedy for people, and what the failed command said"""

    step: str
    code: str
    cause: str
    remedy: str
    output: str


class Result(NamedTuple):
    """Last event; `failure` is None exactly on success; `nonce` is the job's, empty if the job could not be read"""

    nonce: str
    failure: Failure | None
    t: float


Event = Hello | Plan | StepStart | StepEnd | Log | Result

EVENTS: Mapping[str, type[Event]] = {
    "hello": Hello,
    "plan": Plan,
    "step-start": StepStart,
    "step-end": StepEnd,
    "log": Log,
    "result": Result,
}

OUTCOMES = ("done", "skipped", "failed")
NOT_ASKED = "not asked for"
"""`detail` of a task that was skipped because none of its options is set; the node's log needs no line for each."""
LEVELS = ("debug", "info", "warning")

FAILURES: Mapping[str, str] = {
    "E-PARTITION-TABLE": "The partition table is broken or of a kind the helper doesn't know",
    "E-FILESYSTEM": "A filesystem has errors that could not be repaired, or could not be mounted or grown",
    "E-VOLUME": "A volume of LVM or LUKS could not be opened or grown",
    "E-FILESYSTEM-FULL": "A filesystem of the image has no room for what has to be written",
    "E-NO-SYSTEM": "No operating system was found on the disk",
    "E-ROOT-PARTITION": "The root partition that was asked for does not exist or can't be used",
    "E-USER": "A user that was asked for does not exist in the image",
    "E-OPTION": "A value does not fit the image or the instance",
    "E-TASK": "A task failed",
    "E-AGENT": "The agent itself failed",
}
"""Failure codes a guest may send, and what each means (the manual's table is made from this)."""

# --- the job, node to agent -----------------------------------------------------------------------------------------


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
    """Task name -> option name -> value (str, int, bool, or list of str); only what was set."""
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


# --- encode and decode ----------------------------------------------------------------------------------------------

T = TypeVar("T")


def encode(event: Event) -> bytes:
    """One event as a line of at most `MESSAGE_MAX` bytes; overlong strings are cut in the middle, never refused"""
    name = next(key for key, kind in EVENTS.items() if type(event) is kind)
    limit = MESSAGE_MAX
    while True:
        body = {"type": name, **_plain(event, limit)}
        line = json.dumps(body, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        if len(line) <= MESSAGE_MAX:
            return line
        limit //= 2


def decode(line: bytes) -> Event:
    """The event in `line` (with or without its newline)

    Raises:
        ProtocolError: anything that is not exactly one well-formed event
    """
    if len(line) > MESSAGE_MAX:
        raise ProtocolError(f"a message of more than {MESSAGE_MAX} bytes")
    body = _parse(line)
    if not isinstance(body, dict):
        raise ProtocolError("a message that is not an object")
    kind = EVENTS.get(body.pop("type", None) if isinstance(body.get("type"), str) else None)  # type: ignore[arg-type]
    if kind is None:
        raise ProtocolError("a message of unknown type")
    event: Event = _build(kind, body, kind.__name__)
    _check_words(event)
    return event


def encode_job(job: Job) -> bytes:
    """The job as the JSON document that goes onto the config drive"""
    return json.dumps(_plain(job, JOB_MAX), ensure_ascii=True, allow_nan=False).encode()


def decode_job(document: bytes) -> Job:
    """The job in `document`

    Raises:
        ProtocolError: unknown or missing keys, wrong types, another version
    """
    if len(document) > JOB_MAX:
        raise ProtocolError(f"a job of more than {JOB_MAX} bytes")
    body = _parse(document)
    if not isinstance(body, dict):
        raise ProtocolError("a job that is not an object")
    if body.get("version") != PROTOCOL_VERSION:
        raise ProtocolError(f"a job of another version than {PROTOCOL_VERSION}")
    return _build(Job, body, "Job")


def _check_words(event: Event) -> None:
    if isinstance(event, StepEnd) and event.outcome not in OUTCOMES:
        raise ProtocolError("an unknown outcome")
    if isinstance(event, Log) and event.level not in LEVELS:
        raise ProtocolError("an unknown log level")
    if isinstance(event, Result) and event.failure is not None and event.failure.code not in FAILURES:
        raise ProtocolError("an unknown failure code")
    if event.t < 0:
        raise ProtocolError("a negative time")


def _plain(value: Any, limit: int) -> Any:
    """`value` as JSON types, every string cut to `limit` characters"""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _plain(getattr(value, name), limit) for name in value._fields}
    if isinstance(value, (tuple, list)):
        return [_plain(item, limit) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item, limit) for key, item in value.items()}
    if isinstance(value, str) and len(value) > limit:
        return f"{value[: limit // 2]} [...] {value[-limit // 2 :]}"
    return value


def _parse(document: bytes) -> Any:
    try:
        text = document.decode("utf-8", "strict")
        return json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_int=_parse_int)
    except ProtocolError:
        raise
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"a message that is not JSON ({type(error).__name__})") from None


def _no_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ProtocolError("a message with a duplicate key")
        result[key] = value
    return result


def _no_constant(_: str) -> Any:
    raise ProtocolError("a message with a number that is not finite")


def _parse_int(text: str) -> int:
    # int() of a long text is quadratic; 20 characters hold every 64-bit number
    if len(text) > 20 or abs(number := int(text)) > INT_MAX:
        raise ProtocolError("a number beyond 64 bits")
    del number
    return int(text)


_hints: dict[type, dict[str, Any]] = {}


def _build(kind: type[T], body: Any, where: str) -> T:
    """`body` as the NamedTuple `kind`, every field checked"""
    if not isinstance(body, dict):
        raise ProtocolError(f"{where} is not an object")
    hints = _hints.get(kind)
    if hints is None:
        hints = _hints[kind] = typing.get_type_hints(kind)
    if body.keys() != hints.keys():
        raise ProtocolError(f"{where} has unknown or missing keys")
    return kind(**{name: _value(hint, body[name], f"{where}.{name}", 0) for name, hint in hints.items()})


def _value(hint: Any, value: Any, where: str, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise ProtocolError(f"{where} is nested too deeply")
    origin = typing.get_origin(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in typing.get_args(hint):
            return None
        return _value(next(arm for arm in typing.get_args(hint) if arm is not NoneType), value, where, depth)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(typing.get_args(hint)[0], item, where, depth + 1) for item in value)
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        arm = typing.get_args(hint)[1]
        return {key: _value(arm, item, where, depth + 1) for key, item in value.items()}
    if hint is Any:
        return value
    if hint is float and type(value) in (int, float) and abs(value) <= FLOAT_MAX:
        return float(value)
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        return _build(hint, value, where)
    if hint in (str, int, bool) and type(value) is hint:
        return value
    raise ProtocolError(f"{where} has the wrong type")
