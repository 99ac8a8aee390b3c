"""Rates and what is left"""

from __future__ import annotations

import pytest

from helper_host.progress import units
from helper_host.progress.activity import BYTES, WINDOW, Activity

MIB = 1 << 20


def work() -> Activity:
    return Activity(BYTES, "writing image", "node", 0.0)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    activity = work()
    for tenth in range(200):
        activity.moved(tenth / 10, tenth * 10 * MIB, 10_000 * MIB)
    assert activity.rate(20.0) == pytest.approx(100 * MIB, rel=0.02)
    for tenth in range(200, 400):
        activity.moved(tenth / 10, 2000 * MIB + (tenth - 200) * MIB, 10_000 * MIB)
    assert activity.rate(40.0) == pytest.approx(10 * MIB, rel=0.02)
    assert activity.mean_rate() == pytest.approx(2199 * MIB / 39.9)
    assert activity.left(40.0) == pytest.approx((10_000 - 2199) / 10, rel=0.02)


def test_what_stalls_has_no_rate_and_nobody_knows_how_long() -> None:
    activity = work()
    activity.moved(0.0, 0, 100)
    activity.moved(1.0, 50, 100)
    assert activity.rate(1.0) == 50
    assert activity.rate(WINDOW) < 6
    assert activity.rate(2 * WINDOW) == 0
    assert activity.left(2 * WINDOW) is None


def test_what_was_there_before_is_in_no_rate() -> None:
    activity = work()
    activity.moved(0.0, 900 * MIB, 1000 * MIB)
    assert activity.rate(0.0) == 0
    activity.moved(1.0, 910 * MIB, 1000 * MIB)
    assert activity.rate(1.0) == activity.mean_rate() == 10 * MIB


def test_a_download_that_begins_again() -> None:
    activity = work()
    activity.moved(0.0, 0, 100 * MIB)
    activity.moved(1.0, 90 * MIB, 100 * MIB)
    activity.moved(2.0, 0, 100 * MIB)
    assert activity.rate(2.0) == 0
    activity.moved(3.0, 5 * MIB, 100 * MIB)
    assert activity.rate(3.0) == 5 * MIB
    assert not activity.complete


def test_an_unknown_size() -> None:
    activity = work()
    activity.moved(0.0, 0, 0)
    activity.moved(1.0, MIB, 0)
    assert activity.left(1.0) is None
    assert not activity.complete


def test_units() -> None:
    assert [units.mib(size) for size in (0, 1, MIB, 5 * MIB + 1)] == ["0 MiB", "1 MiB", "1 MiB", "5 MiB"]
    assert [units.duration(seconds) for seconds in (0.4, 59.4, 59.6, 187, 3727)] == [
        "0 s",
        "59 s",
        "1:00",
        "3:07",
        "1:02:07",
    ]
    assert [units.rate(rate * MIB) for rate in (0, 1.25, 480.4)] == ["0.0 MiB/s", "1.2 MiB/s", "480 MiB/s"]
    assert units.far(3 * MIB, 12 * MIB) == "3 of 12 MiB (25 %)"
    assert units.far(3 * MIB, 0) == "3 MiB"
