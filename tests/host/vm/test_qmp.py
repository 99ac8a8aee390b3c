"""The monitor's messages, as QEMU 7.2 sends them, and as it never would"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_host.vm import qmp
from helper_host.vm.qmp import BlockError, Monitor, MonitorViolation, Panicked, Port, Shutdown, Stopped

GREETING = (
    b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\r\n'
)
READY = b'{"return": {}}\r\n'


def event(name: str, **data: Any) -> bytes:
    body = {"timestamp": {"seconds": 1, "microseconds": 2}, "event": name, "data": data}
    return json.dumps(body).encode() + b"\r\n"


def monitor() -> Monitor:
    subject = Monitor()
    assert subject.feed(GREETING + READY) == [] and subject.ready
    return subject


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (event("SHUTDOWN", guest=True, reason="guest-shutdown"), Shutdown("guest-shutdown")),
        (event("SHUTDOWN", guest=True, reason="guest-reset"), Shutdown("guest-reset")),
        (event("SHUTDOWN", guest=True, reason="a lie"), Shutdown("none")),
        (event("SHUTDOWN", guest=True), Shutdown("none")),
        (event("SHUTDOWN", reason=["guest-shutdown"]), Shutdown("none")),
        (event("GUEST_PANICKED", action="pause"), Panicked()),
        (event("GUEST_CRASHLOADED", action="run"), Panicked()),
        (event("VSERPORT_CHANGE", id="channel-port", open=True), Port(True)),
        (event("VSERPORT_CHANGE", id="channel-port", open="yes"), Port(False)),
        (b'{"event": "STOP"}\r\n', Stopped()),
        (
            event(
                "BLOCK_IO_ERROR", **{"node-name": "drive-2", "operation": "write", "nospace": True, "action": "report"}
            ),
            BlockError("drive-2", "write", True),
        ),
        (event("BLOCK_IO_ERROR"), BlockError("", "read", False)),
    ],
)
def test_events(line: bytes, expected: qmp.MonitorEvent) -> None:
    assert monitor().feed(line) == [expected]


def test_other_events_are_left_out() -> None:
    assert monitor().feed(event("RTC_CHANGE", offset=1) + b'{"event": "RESUME"}\n') == []


@pytest.mark.parametrize(
    "data",
    [
        READY,
        b'{"error": {"class": "GenericError"}}\n',
        b"[]\n",
        b"\n",
        b"\xff\n",
        b"[" * 60000 + b"\n",
        b"x" * qmp.MESSAGE_MAX,
        event("RESUME") * qmp.MESSAGES_MAX,
        (b" " * 60000 + b'{"event": "STOP"}\n') * 20,
    ],
)
def test_what_qemu_never_sends(data: bytes) -> None:
    with pytest.raises(MonitorViolation):
        monitor().feed(data)


def test_it_must_greet_first() -> None:
    with pytest.raises(MonitorViolation, match="greet"):
        Monitor().feed(READY)


@given(
    st.lists(st.one_of(st.binary(max_size=80), st.sampled_from([GREETING, READY, event("STOP"), b'{"event": 1}\n'])))
)
def test_whatever_comes_it_is_events_or_a_violation(chunks: list[bytes]) -> None:
    subject = Monitor()
    try:
        for chunk in chunks:
            subject.feed(chunk)
    except MonitorViolation:
        pass
