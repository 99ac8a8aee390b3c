"""What a deployment tells while it runs: phases, progress, and at the end a timeline of where the time went"""

from __future__ import annotations

import time
from typing import NamedTuple

from helper_host.log import Log

PROGRESS_SECONDS = 10.0
"""Seconds between two progress lines in the log."""
MIB = 1024 * 1024


class Span(NamedTuple):
    """One line of the timeline; times in seconds since the deployment began"""

    where: str
    """node or helper."""
    what: str
    start: float
    end: float
    remark: str


class Monitor:
    """Keeps the timeline and writes progress lines, at most one in `PROGRESS_SECONDS`"""

    def __init__(self, log: Log, *, began: float | None = None) -> None:
        self.log = log
        self.began = time.monotonic() if began is None else began
        self.spans: list[Span] = []
        self._open: dict[tuple[str, str], float] = {}
        self._guest_zero: float | None = None
        self._said = self.now()
        self._said_bytes = 0

    def now(self) -> float:
        """Seconds since the deployment began"""
        return time.monotonic() - self.began

    def start(self, what: str, where: str = "node") -> None:
        """A span begins"""
        self._open[where, what] = self.now()

    def end(self, what: str, where: str = "node", remark: str = "") -> None:
        """A span ends; one that never began is ignored"""
        start = self._open.pop((where, what), None)
        if start is not None:
            self.spans.append(Span(where, what, start, self.now(), remark))

    def guest_time(self, t: float) -> float:
        """The guest's clock `t` as seconds since the deployment began, set at the first call (the hello)"""
        if self._guest_zero is None:
            self._guest_zero = self.now() - t
        return self._guest_zero + t

    def guest_span(self, what: str, start: float, end: float, remark: str) -> None:
        """A span measured by the guest's clock"""
        self.spans.append(Span("helper", what, self.guest_time(start), self.guest_time(end), remark))

    def forget_guest(self) -> None:
        """A restarted VM has a clock of its own"""
        self._guest_zero = None

    def progress(self, what: str, done: int, total: int) -> None:
        """Bytes `done` of `total`; a line with the rate when the last one is `PROGRESS_SECONDS` old, or at the end"""
        now = self.now()
        if now - self._said < PROGRESS_SECONDS and (done < total or total == 0):
            return
        rate = (done - self._said_bytes) / max(now - self._said, 0.001) / MIB
        share = f" ({100 * done // total} %)" if total else ""
        self.log.info(f"{what}: {done // MIB} of {total // MIB} MiB{share}, {max(rate, 0):.0f} MiB/s")
        self._said, self._said_bytes = now, done

    def timeline(self) -> None:
        """Write the spans in the order in which they began"""
        for (where, what), start in self._open.items():
            self.spans.append(Span(where, what, start, self.now(), "not finished"))
        self._open.clear()
        self.log.info("timeline (seconds since the start, duration):")
        for span in sorted(self.spans, key=lambda span: span.start):
            remark = f"  {span.remark}" if span.remark else ""
            self.log.info(f"  {span.start:7.2f} {span.end - span.start:6.2f}  {span.where:6} {span.what}{remark}")
        self.log.info(f"  total {self.now():.2f} s")
