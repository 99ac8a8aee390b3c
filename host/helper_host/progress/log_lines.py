"""Lines in the log, which Ganeti keeps and shows: enough to see that it goes on, few enough to be read

Ganeti shows the last 20 lines of a log on failure, and they belong to the cause.
"""

from __future__ import annotations

from helper_host.log import Log
from helper_host.progress import units
from helper_host.progress.activity import BYTES, Activity
from helper_host.progress.base import Sink

SECONDS = 10.0
"""Between two lines, and before the first."""
SLOWER = 10
"""Work that takes longer gets a line less often: each after another tenth of its time, 60 lines in a day."""
SHARE, SHARE_SECONDS = 0.1, 5.0
"""A line at each tenth of the bytes too, but no more often than this."""
SHORT = 2.0
"""Seconds: shorter work is in the timeline only."""


class LogLines(Sink):
    """For work on bytes; everything else is in the log by itself"""

    name = "the log's progress"

    def __init__(self, log: Log) -> None:
        self._log = log
        self._said: dict[Activity, tuple[float, int]] = {}

    def begin(self, activity: Activity) -> None:
        if activity.kind == BYTES:
            self._said[activity] = activity.begun, activity.done

    def progress(self, activity: Activity, now: float) -> None:
        at, done = self._said[activity]
        if activity.complete or now < at + SHARE_SECONDS:
            return
        pause = max(SECONDS, (now - activity.begun) / SLOWER)
        if now < at + pause and not 0 < activity.total * SHARE <= activity.done - done:
            return
        self._said[activity] = now, activity.done
        self._log.info(line(activity, now))

    def end(self, activity: Activity, remark: str) -> None:  # noqa: ARG002
        if self._said.pop(activity, None) is None:
            return
        seconds = activity.at - activity.begun
        if seconds >= SHORT:
            rate = units.rate(activity.mean_rate())
            self._log.info(f"{activity.what}: {units.mib(activity.done)} in {units.duration(seconds)}, {rate}")


def line(activity: Activity, now: float) -> str:
    """How far, how fast, and how long still"""
    left = activity.left(now)
    rest = f", {units.duration(left)} left" if left is not None else ""
    far = units.far(activity.done, activity.total)
    return f"{activity.what}: {far}, {units.rate(activity.rate(now))}{rest}"
