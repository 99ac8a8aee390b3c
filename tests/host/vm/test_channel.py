"""The node's end of the port: what it takes, what it refuses, and that nothing else can happen"""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent import protocol
from helper_agent.protocol import Hello, Log, Plan, Result, StepEnd, StepStart
from helper_host.vm.channel import Channel, ProtocolViolation

HELLO = Hello(protocol.PROTOCOL_VERSION, "0.1.0", 1.0)
PLAN = Plan(("inspect", "mount"), 2.0)
FAILURE = protocol.Failure("inspect", "E-TASK", "cause", "remedy", "")
STEPS = tuple(event for name in PLAN.steps for event in (StepStart(name, 3.0), StepEnd(name, "done", "", 3.0)))
RESULT = Result("abcd", None, 4.0)
GOOD = (HELLO, PLAN, *STEPS, RESULT)


def channel(*events: protocol.Event, went: bool = True) -> Channel:
    result = Channel("abcd")
    result.went = went
    for event in events:
        result.feed(protocol.encode(event))
    return result


def test_a_good_run_in_one_piece() -> None:
    subject = channel()
    assert subject.feed(b"".join(map(protocol.encode, GOOD))) == list(GOOD)
    assert subject.complete()


@given(st.lists(st.integers(1, 400), max_size=30))
def test_a_good_run_in_any_pieces(cuts: list[int]) -> None:
    data, subject, events = b"".join(map(protocol.encode, GOOD)), channel(), []
    for cut in [*cuts, len(data)]:
        events += subject.feed(data[:cut])
        data = data[cut:]
    assert events == list(GOOD) and subject.complete()


@pytest.mark.parametrize("missing", range(len(GOOD)))
def test_a_run_with_a_gap_is_no_success(missing: int) -> None:
    subject = channel()
    try:
        for number, event in enumerate(GOOD):
            if number != missing:
                subject.feed(protocol.encode(event))
    except ProtocolViolation:
        pass
    assert not subject.complete()


def plain(**changes: Any) -> bytes:
    return (
        json.dumps({"type": "log", "level": "info", "step": "", "message": "m", "t": 9.0, **changes}).encode() + b"\n"
    )


MALFORMED: dict[str, bytes] = {
    "oversized": b'{"type":"log","message":"' + b"x" * protocol.MESSAGE_MAX + b'"}\n',
    "oversized without an end": b"x" * protocol.MESSAGE_MAX,
    "empty line": b"\n",
    "not JSON": b"hello\n",
    "negative time": plain(t=-1.0),
    "backward time": plain(t=0.5),
    "invalid UTF-8": plain(message="X").replace(b"X", b"\xff"),
    "deep": b'{"type":"log","message":' + b"[" * 30000 + b"]" * 30000 + b"}\n",
    "NaN": plain().replace(b"9.0", b"NaN"),
    "Infinity": plain().replace(b"9.0", b"-Infinity"),
    "1e999": plain().replace(b"9.0", b"1e999"),
    "huge int": plain().replace(b"9.0", b"9" * 5000),
    "duplicate keys": plain().replace(b'"t"', b'"message":"n","t"'),
    "unknown key": plain(extra=1),
    "missing key": b'{"type":"log","t":9.0}\n',
    "unknown type": plain(type="exec"),
    "type that is no string": plain(type=["log"]),
    "unknown level": plain(level="root"),
    "bool for a number": plain(t=True),
    "not an object": b'["log"]\n',
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_messages(name: str) -> None:
    subject = channel(HELLO)
    with pytest.raises(ProtocolViolation):
        subject.feed(MALFORMED[name])
    with pytest.raises(ProtocolViolation):
        subject.feed(protocol.encode(PLAN))


ORDER: dict[str, tuple[protocol.Event, ...]] = {
    "no hello": (PLAN,),
    "log before hello": (Log("info", "", "m", 1.0),),
    "two hellos": (HELLO, HELLO),
    "another protocol": (HELLO._replace(protocol=protocol.PROTOCOL_VERSION + 1),),
    "two plans": (HELLO, PLAN, PLAN),
    "a plan with a step twice": (HELLO, Plan(("mount", "mount"), 2.0)),
    "a step without a plan": (HELLO, STEPS[0]),
    "the second step first": (HELLO, PLAN, STEPS[2]),
    "a step within a step": (HELLO, PLAN, STEPS[0], STEPS[2]),
    "a step twice": (HELLO, PLAN, *STEPS[:2], STEPS[0]),
    "a step that was not planned": (HELLO, PLAN, StepStart("umount", 3.0)),
    "an end without a start": (HELLO, PLAN, STEPS[1]),
    "another step's end": (HELLO, PLAN, STEPS[0], STEPS[3]),
    "success before the steps": (HELLO, PLAN, RESULT),
    "success without a plan": (HELLO, RESULT),
    "success in mid step": (HELLO, PLAN, *STEPS[:3], RESULT),
    "success after a failed step": (
        HELLO,
        Plan(("a",), 2.0),
        StepStart("a", 3.0),
        StepEnd("a", "failed", "", 3.0),
        RESULT,
    ),
    "another job's result": (*GOOD[:-1], RESULT._replace(nonce="abce")),
    "success without a nonce": (*GOOD[:-1], RESULT._replace(nonce="")),
    "another job's failure": (HELLO, RESULT._replace(nonce="x", failure=FAILURE)),
    "success twice": (*GOOD, RESULT),
    "success, then failure": (*GOOD, RESULT._replace(failure=FAILURE)),
    "failure, then success": (HELLO, RESULT._replace(failure=FAILURE), RESULT),
    "a log after the result": (*GOOD, Log("info", "", "m", 5.0)),
    "time that runs backwards": (HELLO, PLAN._replace(t=0.9)),
}


@pytest.mark.parametrize("name", ORDER)
def test_events_out_of_order(name: str) -> None:
    with pytest.raises(ProtocolViolation):
        channel(*ORDER[name])


@pytest.mark.parametrize("event", [PLAN, STEPS[0], RESULT, RESULT._replace(failure=FAILURE)])
def test_nothing_begins_before_go(event: protocol.Event) -> None:
    with pytest.raises(ProtocolViolation, match="before it was told"):
        channel(HELLO, event, went=False)
    channel(HELLO, Log("info", "", "m", 1.0), went=False)


def test_a_skipped_step_needs_no_start() -> None:
    subject = channel(HELLO, PLAN, *STEPS[:2], StepEnd("mount", "skipped", "no", 3.0), RESULT)
    assert subject.complete()


def test_after_a_failure_later_steps_may_clean_up_but_never_succeed() -> None:
    plan = Plan(("inspect", "mount", "umount"), 2.0)
    begun = (HELLO, plan, StepStart("inspect", 3.0), StepEnd("inspect", "failed", "", 3.0))
    clean = (StepStart("umount", 3.0), StepEnd("umount", "done", "", 3.0))
    subject = channel(*begun, *clean, RESULT._replace(failure=FAILURE))
    assert not subject.complete() and subject.result is not None
    with pytest.raises(ProtocolViolation):
        channel(*begun, *clean, StepStart("mount", 3.0))
    with pytest.raises(ProtocolViolation):
        channel(*begun, *clean, RESULT)


def test_a_failure_before_the_job_was_read_has_no_nonce() -> None:
    subject = channel(HELLO, RESULT._replace(nonce="", failure=FAILURE))
    assert subject.result is not None and not subject.complete()


def test_a_message_may_have_exactly_the_bound() -> None:
    line = plain()
    line = line.replace(b'"m"', b'"' + b"m" * (protocol.MESSAGE_MAX - len(line) + 1) + b'"')
    assert len(line) == protocol.MESSAGE_MAX
    assert len(channel(HELLO).feed(line)) == 1
    with pytest.raises(ProtocolViolation):
        channel(HELLO).feed(line.replace(b"mm", b"mmm", 1))


def test_number_and_total_are_bounded() -> None:
    subject = channel(HELLO)
    subject.feed(plain() * (protocol.MESSAGES_MAX - 1))
    with pytest.raises(ProtocolViolation, match="messages"):
        subject.feed(plain())
    subject = channel(HELLO)
    line = plain(message="m" * 60_000)
    subject.feed(line * (protocol.TOTAL_MAX // len(line)))
    with pytest.raises(ProtocolViolation, match="in all"):
        subject.feed(line)


def test_a_partial_message_is_no_success() -> None:
    subject = channel(*GOOD)
    subject.feed(b"{")
    assert subject.partial and not subject.complete()


EVENTS = st.one_of(
    st.sampled_from([protocol.encode(event) for event in (*GOOD, RESULT._replace(failure=FAILURE))]),
    st.binary(max_size=200),
    st.sampled_from(list(MALFORMED.values())),
)


@given(st.lists(EVENTS, max_size=40), st.booleans())
def test_whatever_comes_it_is_events_or_a_violation(chunks: list[bytes], went: bool) -> None:
    subject = channel(went=went)
    accepted: list[protocol.Event] = []
    try:
        for chunk in chunks:
            accepted += subject.feed(chunk)
    except ProtocolViolation:
        assert subject.broken and not subject.complete()
    if subject.complete():
        # only the very sequence of a good run adds up to success
        assert [event for event in accepted if not isinstance(event, Log)] == list(GOOD)


def test_a_flood_takes_no_memory() -> None:
    subject, block = channel(HELLO), b"x" * 65536
    tracemalloc.start()
    with pytest.raises(ProtocolViolation):
        for _ in range(6400):
            subject.feed(block)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
