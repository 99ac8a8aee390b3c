"""What the strict reader takes and what it doesn't; hostile events are in test_protocol"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from helper_agent import strict_json
from helper_agent.strict_json import ProtocolError


class Inner(NamedTuple):
    number: int


class Outer(NamedTuple):
    name: str
    inner: Inner | None
    more: tuple[Inner, ...]
    values: Mapping[str, Any]
    time: float


GOOD: dict[str, Any] = {"name": "x", "inner": {"number": 1}, "more": [{"number": 2}], "values": {"a": [1]}, "time": 1}


def test_there_and_back() -> None:
    made = Outer("x", Inner(1), (Inner(2),), {"a": [1]}, 1.0)
    assert strict_json.plain(made, 100) == GOOD
    assert strict_json.build(Outer, strict_json.parse(strict_json.dumps(strict_json.plain(made, 100))), "Outer") == made


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 1}, "Outer.name has the wrong type"),
        ({"name": None}, "Outer.name has the wrong type"),
        ({"inner": {"number": True}}, "Outer.inner.number has the wrong type"),
        ({"inner": {}}, "Outer.inner has unknown or missing keys"),
        ({"more": {"number": 2}}, "Outer.more has the wrong type"),
        ({"values": []}, "Outer.values has the wrong type"),
        ({"time": 1e10}, "Outer.time has the wrong type"),
        ({"time": False}, "Outer.time has the wrong type"),
        ({"other": 1}, "Outer has unknown or missing keys"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        strict_json.build(Outer, {**GOOD, **change}, "Outer")


@pytest.mark.parametrize(
    "document",
    [b'{"a":1,"a":1}', b"NaN", b"-Infinity", b"9223372036854775808", b"1" * 5000, b"[" * 100_000, b"\xff", b""],
)
def test_what_is_no_document(document: bytes) -> None:
    with pytest.raises(ProtocolError):
        strict_json.parse(document)


def test_the_largest_number() -> None:
    assert strict_json.parse(b"9223372036854775807") == strict_json.INT_MAX


def test_a_number_that_is_not_finite_is_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        strict_json.dumps(float("nan"))
