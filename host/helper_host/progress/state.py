"""The state in the run folder, for `status` and `watch` on the same node"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from helper_host.progress.activity import BYTES, STEP, Activity
from helper_host.progress.current import Following

SECONDS = 0.25
"""Between two records while bytes move."""


class State(Following):
    """Writes what is current, each time as a whole

    `write` takes a record. Its times are seconds since the epoch, `phase_since` and `at` too.
    """

    name = "the run's state"

    def __init__(self, write: Callable[[Mapping[str, Any]], None], facts: Mapping[str, Any]) -> None:
        super().__init__()
        self._write = write
        self._facts = facts
        self._due = 0.0

    def progress(self, activity: Activity, now: float) -> None:
        if now >= self._due or activity.complete:
            self._due = now + SECONDS
            super().progress(activity, now)

    def show(self) -> None:
        activity = self.current
        self._write({**self._facts, **({} if activity is None else record(activity))})


def record(activity: Activity) -> dict[str, Any]:
    """An activity for others to read: phase, phase_since, and of work on bytes done, total (0: unknown), rate and at"""
    now = time.monotonic()
    epoch = time.time() - now
    what = f"helper: {activity.what}" if activity.kind == STEP else activity.what
    told: dict[str, Any] = {"phase": what, "phase_since": round(epoch + activity.begun, 3)}
    if activity.kind == BYTES:
        told |= {"done": activity.done, "total": activity.total, "rate": round(activity.rate(now))}
        told["at"] = round(epoch + activity.at, 3)
    return told
