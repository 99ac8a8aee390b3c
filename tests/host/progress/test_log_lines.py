"""Lines in Ganeti's log: some, not many"""

from __future__ import annotations

import io

import pytest

from helper_host.log import Log
from helper_host.progress.activity import BYTES, SPAN, Activity
from helper_host.progress.log_lines import LogLines

MIB = 1 << 20


def said(seconds: float, rate: float, total: int | None = None) -> list[str]:
    """The lines of work at `rate` bytes a second, told ten times a second; an unknown size with `total` 0"""
    stream = io.StringIO()
    sink = LogLines(Log(stream=stream))
    activity = Activity(BYTES, "writing image", "node", 100.0)
    size = int(seconds * rate)
    sink.begin(activity)
    for tenth in range(int(seconds * 10) + 1):
        now = 100 + tenth / 10
        activity.moved(now, int(size * tenth / max(1, int(seconds * 10))), size if total is None else total)
        sink.progress(activity, now)
    sink.end(activity, "")
    return [line.partition(" ")[2] for line in stream.getvalue().splitlines()]


def test_short_work_has_no_line() -> None:
    assert said(1.9, 100 * MIB) == []


def test_work_of_seconds_has_one_at_the_end() -> None:
    assert said(4.0, 100 * MIB) == ["writing image: 400 MiB in 4 s, 100 MiB/s"]


def test_a_line_has_bytes_rate_and_remaining_time() -> None:
    lines = said(40.0, 25 * MIB)
    assert lines[0] == "writing image: 125 of 1000 MiB (12 %), 25 MiB/s, 35 s left"
    assert lines[-1] == "writing image: 1000 MiB in 40 s, 25 MiB/s"
    assert 5 <= len(lines) <= 9


@pytest.mark.parametrize(("seconds", "most"), [(100, 20), (1000, 35), (20_000, 70)])
def test_long_work_is_no_flood(seconds: int, most: int) -> None:
    lines = said(seconds, 10 * MIB)
    assert seconds / 1000 + 8 <= len(lines) <= most


def test_an_unknown_size() -> None:
    lines = said(35.0, 10 * MIB, total=0)
    assert lines[0] == "writing image: 100 MiB, 10 MiB/s"
    assert len(lines) == 4


def test_what_is_not_about_bytes_is_left_to_the_timeline() -> None:
    stream = io.StringIO()
    sink = LogLines(Log(stream=stream))
    activity = Activity(SPAN, "boot", "helper", 0.0)
    sink.begin(activity)
    sink.end(activity, "")
    assert stream.getvalue() == ""
