"""The wire format between node and agent

What both ends must agree on is here and in `helper_agent.job`, encode beside decode. Standard library only: the node
imports these modules from the installed package, the agent from the helper image, and `PROTOCOL_VERSION` says whether
they can talk. The job is a module of its own because the agent needs it after `hello`.

An event is one line: a JSON object in UTF-8 with a final newline, at most `MESSAGE_MAX` bytes; `strict_json` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent import strict_json
from helper_agent.records import NamedTuple
from helper_agent.strict_json import ProtocolError

AGENT_VERSION = "0.1.0"
PROTOCOL_VERSION = 1

PORT_NAME = "org.ganeti.instance-helper.0"
"""Name of the virtio-serial port, as in `/sys/class/virtio-ports/*/name`."""
ROOT_SERIAL = "helper-root"
"""virtio-blk serial of the helper's read-only root."""
JOB_SERIAL = "helper-job"
"""virtio-blk serial of the config drive."""
IMAGE_DESCRIPTION = "/etc/ganeti-instance-helper/image.toml"
"""Where an image has its own description (`helper_agent.description`)."""

MESSAGE_MAX = 64 * 1024
"""Most bytes of one event, newline included."""
TOTAL_MAX = 1024 * 1024
"""Most bytes of all events of one run."""
MESSAGES_MAX = 2000
"""Most events of one run."""
GO = b'{"type":"go"}\n'
"""The node's only word: the disks and the job are complete, touch them now."""


def disk_serial(index: int) -> str:
    """virtio-blk serial of the instance's disk `index` (Ganeti's DISK_n); virtio allows 20 bytes"""
    return f"disk-{index}"


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


def encode(event: Event) -> bytes:
    """One event as a line of at most `MESSAGE_MAX` bytes; overlong strings are cut in the middle, never refused"""
    name = next(key for key, kind in EVENTS.items() if type(event) is kind)
    limit = MESSAGE_MAX
    while True:
        line = strict_json.dumps({"type": name, **strict_json.plain(event, limit)}) + b"\n"
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
    body = strict_json.parse(line)
    if not isinstance(body, dict):
        raise ProtocolError("a message that is not an object")
    kind = EVENTS.get(body.pop("type", None) if isinstance(body.get("type"), str) else None)  # type: ignore[arg-type]
    if kind is None:
        raise ProtocolError("a message of unknown type")
    event: Event = strict_json.build(kind, body, kind.__name__)
    _check_words(event)
    return event


def _check_words(event: Event) -> None:
    if isinstance(event, StepEnd) and event.outcome not in OUTCOMES:
        raise ProtocolError("an unknown outcome")
    if isinstance(event, Log) and event.level not in LEVELS:
        raise ProtocolError("an unknown log level")
    if isinstance(event, Result) and event.failure is not None and event.failure.code not in FAILURES:
        raise ProtocolError("an unknown failure code")
    if event.t < 0:
        raise ProtocolError("a negative time")
