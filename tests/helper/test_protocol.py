"""The wire format: what is encoded comes back, and nothing else is accepted (threat 13, the channel corpus)"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent import protocol
from helper_agent.protocol import Failure, Hello, Log, Plan, Result, StepEnd, StepStart
from helper_agent.strict_json import ProtocolError

TEXT = st.text(max_size=200)
TIMES = st.floats(min_value=0, max_value=1e6, allow_nan=False)
FAILURE = st.builds(Failure, TEXT, st.sampled_from(sorted(protocol.FAILURES)), TEXT, TEXT, TEXT)
EVENTS = st.one_of(
    st.builds(Hello, st.integers(0, 99), TEXT, TIMES),
    st.builds(Plan, st.lists(TEXT, max_size=20).map(tuple), TIMES),
    st.builds(StepStart, TEXT, TIMES),
    st.builds(StepEnd, TEXT, st.sampled_from(protocol.OUTCOMES), TEXT, TIMES),
    st.builds(Log, st.sampled_from(protocol.LEVELS), TEXT, TEXT, TIMES),
    st.builds(Result, TEXT, st.none() | FAILURE, TIMES),
)


@given(EVENTS)
def test_events_come_back(event: protocol.Event) -> None:
    line = protocol.encode(event)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert protocol.decode(line) == event


@given(st.binary(max_size=300))
def test_noise_is_a_protocol_error(noise: bytes) -> None:
    try:
        protocol.decode(noise)
    except ProtocolError:
        pass


@pytest.mark.parametrize("size", [1000, 70_000, 1_000_000])
@pytest.mark.parametrize("filler", ["x", "\n", "\u202e", "\U0001f600", "\udcff"])
def test_long_texts_are_cut_in_the_middle_to_fit(size: int, filler: str) -> None:
    failure = Failure("step", "E-TASK", f"begin {filler * size} end", "remedy", filler * size)
    line = protocol.encode(Result("n", failure, 1.0))
    assert len(line) <= protocol.MESSAGE_MAX
    back = protocol.decode(line)
    assert isinstance(back, Result)
    assert back.failure is not None
    assert back.failure.cause.startswith("begin")
    assert back.failure.cause.endswith("end")


GOOD: dict[str, Any] = {"type": "step-start", "step": "x", "t": 1.5}
RESULT: dict[str, Any] = {"type": "result", "nonce": "n", "failure": None, "t": 1.0}
TOLD = {"step": "s", "code": "E-TASK", "cause": "c", "remedy": "r", "output": "o"}


def text(**changes: Any) -> str:
    return json.dumps({**GOOD, **changes})


BAD = {
    "empty": "",
    "not-json": "hello",
    "list": "[]",
    "null": "null",
    "no-type": '{"step":"x","t":1}',
    "type-number": text(type=1),
    "type-list": text(type=[]),
    "type-unknown": text(type="shutdown"),
    "go-echoed": protocol.GO.decode(),
    "key-missing": '{"type":"step-start","t":1}',
    "key-unknown": text(more=1),
    "key-twice": '{"type":"step-start","step":"x","step":"y","t":1}',
    "type-twice": '{"type":"step-start","type":"hello","step":"x","t":1}',
    "time-text": text(t="1"),
    "time-bool": text(t=True),
    "time-null": text(t=None),
    "time-negative": text(t=-1),
    "time-nan": '{"type":"step-start","step":"x","t":NaN}',
    "time-infinite": '{"type":"step-start","step":"x","t":Infinity}',
    "time-overflow": '{"type":"step-start","step":"x","t":1e400}',
    "time-huge": '{"type":"step-start","step":"x","t":1e12}',
    "number-huge": '{"type":"step-start","step":"x","t":' + "9" * 5000 + "}",
    "number-65-bits": '{"type":"hello","protocol":18446744073709551616,"agent":"x","t":1}',
    "bool-for-int": '{"type":"hello","protocol":true,"agent":"x","t":1}',
    "float-for-int": '{"type":"hello","protocol":1.0,"agent":"x","t":1}',
    "step-number": text(step=1),
    "step-null": text(step=None),
    "deep": '{"type":"step-start","step":' + "[" * 20_000 + "]" * 20_000 + ',"t":1}',
    "deep-plan": '{"type":"plan","steps":[[["x"]]],"t":1}',
    "plan-object": '{"type":"plan","steps":{},"t":1}',
    "plan-number": '{"type":"plan","steps":[1],"t":1}',
    "outcome": '{"type":"step-end","step":"x","outcome":"great","detail":"","t":1}',
    "level": '{"type":"log","level":"error","step":"","message":"","t":1}',
    "failure-text": json.dumps({**RESULT, "failure": "no"}),
    "failure-empty": json.dumps({**RESULT, "failure": {}}),
    "failure-code": json.dumps({**RESULT, "failure": {**TOLD, "code": "E-OTHER"}}),
    "failure-more": json.dumps({**RESULT, "failure": {**TOLD, "more": ""}}),
    "two-objects": text() + text(),
    "comment": text() + "//",
    "lines": text().replace(",", ",\n") + "x",
    "oversized": text(step="x" * protocol.MESSAGE_MAX),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_exactly_one_event_is_refused(name: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        protocol.decode(BAD[name].encode())
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("raw", [b"\xff\xfe{}", b'{"type":"step-start","step":"\xff","t":1}', b"\0" * 10])
def test_bytes_that_are_not_utf_8_are_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.decode(raw)


def test_a_surrogate_gets_through_as_text() -> None:
    event = protocol.decode(b'{"type":"step-start","step":"\\udcff","t":1}')
    assert event == StepStart("\udcff", 1.0)


def test_every_failure_code_has_a_meaning() -> None:
    for code, meaning in protocol.FAILURES.items():
        assert code.startswith("E-")
        assert meaning
