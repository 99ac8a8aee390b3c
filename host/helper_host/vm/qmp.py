"""QEMU's monitor, as far as the verdict needs it: capabilities negotiated, events noted

The other end is a process that the guest may have taken over, so it is bounded and checked like the guest itself. The
messages are those of docs/interop/qmp-spec.txt and qapi/{run-state,block-core,char}.json. A pure state machine: bytes
go in, facts come out.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

MESSAGE_MAX = 64 * 1024
TOTAL_MAX = 1024 * 1024
MESSAGES_MAX = 2000

HANDSHAKE = b'{"execute":"qmp_capabilities"}\n'
"""May be sent at once, before the greeting was read."""

REASONS = (
    *("guest-shutdown", "guest-reset", "guest-panic", "host-error", "host-qmp-quit", "host-qmp-system-reset"),
    *("host-signal", "host-ui", "subsystem-reset", "snapshot-load", "none"),
)
"""ShutdownCause in qapi/run-state.json."""


class MonitorViolation(Exception):
    """The monitor sent what QEMU never sends"""


class Shutdown(NamedTuple):
    """The VM stops for `reason`, one of `REASONS`; guest-shutdown is the guest's own power-off"""

    reason: str


class Panicked(NamedTuple):
    """The guest's kernel said through pvpanic that it has crashed"""


class BlockError(NamedTuple):
    """Reading or writing one of the VM's drives failed on the node"""

    node: str
    operation: str
    full: bool
    """No space left."""


class Port(NamedTuple):
    """The agent opened the port, or let go of it"""

    open: bool


class Stopped(NamedTuple):
    """The virtual CPU stands still, which nothing here ever asks for"""


MonitorEvent = Shutdown | Panicked | BlockError | Port | Stopped


class Monitor:
    """What QEMU said so far; `ready` once events will come"""

    def __init__(self) -> None:
        self.ready = False
        self._greeted = False
        self._partial = bytearray()
        self._bytes = 0
        self._messages = 0

    def feed(self, data: bytes) -> list[MonitorEvent]:
        """The events that `data` completes; unknown ones are left out

        Raises:
            MonitorViolation: too much, or not QMP
        """
        self._bytes += len(data)
        if self._bytes > TOTAL_MAX:
            raise MonitorViolation(f"QEMU's monitor sent more than {TOTAL_MAX} bytes")
        events = []
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._grow(line)
            self._messages += 1
            if self._messages > MESSAGES_MAX:
                raise MonitorViolation(f"QEMU's monitor sent more than {MESSAGES_MAX} messages")
            event = self._accept(_parse(bytes(self._partial)))
            self._partial.clear()
            if event is not None:
                events.append(event)
        self._grow(rest)
        return events

    def _grow(self, part: bytes) -> None:
        if len(self._partial) + len(part) >= MESSAGE_MAX:
            raise MonitorViolation(f"QEMU's monitor sent a message of more than {MESSAGE_MAX} bytes")
        self._partial += part

    def _accept(self, message: dict[str, Any]) -> MonitorEvent | None:
        if not self._greeted:
            if not isinstance(message.get("QMP"), dict):
                raise MonitorViolation("QEMU's monitor did not greet")
            self._greeted = True
            return None
        if "event" in message:
            return _event(message)
        if "return" in message and not self.ready:
            self.ready = True
            return None
        raise MonitorViolation("QEMU's monitor sent an unexpected answer")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line.decode("utf-8", "strict"))
    except (ValueError, RecursionError):
        raise MonitorViolation("QEMU's monitor sent something that is not JSON") from None
    if not isinstance(message, dict):
        raise MonitorViolation("QEMU's monitor sent something that is not an object")
    return message


def _event(message: dict[str, Any]) -> MonitorEvent | None:
    data = message.get("data")
    data = data if isinstance(data, dict) else {}
    match message["event"]:
        case "SHUTDOWN":
            reason = data.get("reason")
            return Shutdown(reason if isinstance(reason, str) and reason in REASONS else "none")
        case "GUEST_PANICKED" | "GUEST_CRASHLOADED":
            return Panicked()
        case "BLOCK_IO_ERROR":
            operation = "write" if data.get("operation") == "write" else "read"
            return BlockError(_word(data.get("node-name")), operation, data.get("nospace") is True)
        case "VSERPORT_CHANGE":
            return Port(data.get("open") is True)
        case "STOP":
            return Stopped()
    return None


def _word(value: object) -> str:
    return value[:64] if isinstance(value, str) else ""
