"""What a deployment tells while it runs: activities and their progress to the sinks, and at the end a timeline of where
the time went
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from helper_host.errors import ProviderError
from helper_host.log import Log
from helper_host.progress.activity import BYTES, SPAN, STEP, Activity
from helper_host.progress.audience import audience
from helper_host.progress.base import Outcome, Sink

INTERVAL = 0.1
"""Seconds between two words of one activity to the sinks: whoever does the work looks at a clock and goes on."""
BYTEWISE: Mapping[str, tuple[str, ...]] = {
    "fetch image": ("fetching image",),
    "checksum": ("checking image",),
    "write image": ("fetching image", "unpacking image", "writing image"),
}
"""Spans, and the work on bytes that is over with each of them, whether or not its size was known."""


class Span(NamedTuple):
    """One line of the timeline; times in seconds since the deployment began"""

    where: str
    """node or helper."""
    what: str
    start: float
    end: float
    remark: str


class Monitor:
    """Keeps the timeline and tells the sinks; for any thread

    A sink that fails is told nothing more. A bar on the terminal, or lines in the log, are there from the beginning.
    """

    def __init__(self, log: Log, *, began: float | None = None) -> None:
        self.log = log
        self.began = time.monotonic() if began is None else began
        self.spans: list[Span] = []
        self._open: dict[tuple[str, str, str], Activity] = {}
        self._due: dict[str, float] = {}
        """Work on bytes -> when the sinks may be told of it again."""
        self._latest: dict[str, tuple[int, int]] = {}
        self._finished: dict[str, tuple[int, int]] = {}
        self._guest_zero: float | None = None
        self._lock = threading.RLock()
        self._sinks: list[Sink] = [audience(log)]

    # --- sinks ------------------------------------------------------------------------------------------------------

    def add(self, sink: Sink) -> None:
        """From now on it is told too, of what is under way already first"""
        with self._lock:
            self._sinks.append(sink)
            for activity in list(self._open.values()):
                self._tell(lambda sink, activity=activity: sink.begin(activity), [sink])  # type: ignore[misc]

    def close(self, outcome: Outcome | None = None) -> None:
        """The end, which every sink is told once"""
        with self._lock:
            sinks, self._sinks = self._sinks, []
            for sink in sinks:
                self._tell(lambda sink: sink.close(outcome or Outcome()), [sink])

    def _tell(self, call: Callable[[Sink], None], sinks: list[Sink] | None = None) -> None:
        for sink in list(self._sinks) if sinks is None else sinks:
            try:
                call(sink)
            except ProviderError:
                raise  # a signal's, which comes wherever we are
            except Exception as error:
                if sink in self._sinks:
                    self._sinks.remove(sink)
                self.log.warning(f"{sink.name} goes on without us: {type(error).__name__}: {error}")

    # --- the timeline -----------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the deployment began"""
        return time.monotonic() - self.began

    def start(self, what: str, where: str = "node") -> None:
        """A span begins"""
        self._begin(Activity(SPAN, what, where, time.monotonic()))

    def end(self, what: str, where: str = "node", remark: str = "") -> None:
        """A span ends, and the work on bytes that belongs to it; one that never began is ignored"""
        with self._lock:
            for work in (*BYTEWISE.get(what, ()), what):
                self._end_work(work)
            activity = self._end(SPAN, what, where, remark)
            if activity is not None:
                self.spans.append(Span(where, what, activity.begun - self.began, self.now(), remark))

    def guest_time(self, t: float) -> float:
        """The guest's clock `t` as seconds since the deployment began, set at the first call (the hello)"""
        if self._guest_zero is None:
            self._guest_zero = self.now() - t
        return self._guest_zero + t

    def guest_start(self, what: str) -> None:
        """A step in the helper begins; its span comes with its end"""
        self._begin(Activity(STEP, what, "helper", time.monotonic()))

    def guest_span(self, what: str, start: float, end: float, remark: str) -> None:
        """A step in the helper has ended: a span measured by the guest's clock"""
        self._end(STEP, what, "helper", remark)
        self.spans.append(Span("helper", what, self.guest_time(start), self.guest_time(end), remark))

    def guest_notice(self, text: str) -> None:
        """A warning of the helper's"""
        with self._lock:
            self._tell(lambda sink: sink.notice(text))

    def forget_guest(self) -> None:
        """A restarted VM has a clock of its own"""
        self._guest_zero = None

    def timeline(self) -> None:
        """Write the spans in the order in which they began"""
        self.log.info("timeline (seconds since the start, duration):")
        for line in self.lines():
            self.log.info(f"  {line}")
        self.log.info(f"  total {self.now():.2f} s")

    def lines(self) -> list[str]:
        """The timeline's spans, those that haven't ended too"""
        with self._lock:
            left = [each for each in self._open.values() if each.kind == SPAN]
            spans = [
                *self.spans,
                *(Span(each.where, each.what, each.begun - self.began, self.now(), "not finished") for each in left),
            ]
        return [
            f"{span.start:7.2f} {span.end - span.start:6.2f}  {span.where:6} {span.what}"
            + (f"  {span.remark}" if span.remark else "")
            for span in sorted(spans, key=lambda span: span.start)
        ]

    # --- progress ---------------------------------------------------------------------------------------------------

    def progress(self, what: str, done: int, total: int) -> None:
        """Work on bytes has got to `done` of `total` (0: unknown); cheap enough to be called for every piece"""
        now = time.monotonic()
        whole = 0 < total <= done
        self._latest[what] = done, total
        if not whole and now < self._due.get(what, 0.0):
            return
        # who comes while the sinks are told something goes on with the work; the last word waits for its turn
        if not self._lock.acquire(blocking=whole):
            return
        try:
            if whole and self._finished.get(what) == (done, total):
                return
            self._due[what] = now + INTERVAL
            activity = self._open.get((BYTES, "node", what))
            if activity is None:
                activity = Activity(BYTES, what, "node", now)
                activity.moved(now, done, total)
                self._begin(activity)
            else:
                activity.moved(now, done, total)
            self._tell(lambda sink: sink.progress(activity, now))
            if whole:
                self._end_work(what)
        finally:
            self._lock.release()

    def _end_work(self, what: str) -> None:
        activity = self._open.get((BYTES, "node", what))
        if activity is None:
            return
        latest = self._latest.pop(what, (activity.done, activity.total))
        if latest != (activity.done, activity.total):
            activity.moved(time.monotonic(), *latest)
        self._finished[what] = latest
        self._due.pop(what, None)
        self._end(BYTES, what, "node", "")

    def _begin(self, activity: Activity) -> None:
        with self._lock:
            self._open[activity.kind, activity.where, activity.what] = activity
            self._tell(lambda sink: sink.begin(activity))

    def _end(self, kind: str, what: str, where: str, remark: str) -> Activity | None:
        with self._lock:
            activity = self._open.pop((kind, where, what), None)
            if activity is not None:
                self._tell(lambda sink: sink.end(activity, remark))
            return activity
