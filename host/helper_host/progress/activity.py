"""Something under way: what, since when, and how far where that can be told in bytes"""

from __future__ import annotations

from collections import deque

SPAN, STEP, BYTES = "span", "step", "bytes"
WINDOW = 10.0
"""Seconds that a rate is the mean of: long enough to be calm, short enough to show that something has slowed down."""
SAMPLE = 0.1
"""Seconds between two samples of a window."""


class Activity:
    """Times are of time.monotonic()"""

    def __init__(self, kind: str, what: str, where: str, begun: float) -> None:
        self.kind = kind
        """A span of the timeline, a step in the helper, or work on bytes, which alone tells how far it is."""
        self.what = what
        self.where = where
        """node or helper."""
        self.begun = begun
        self.done = 0
        """Bytes."""
        self.total = 0
        """Bytes; 0: nobody knows."""
        self.at = begun
        """When it told so last."""
        self._samples: deque[tuple[float, int]] = deque()
        self._first = (begun, 0)

    @property
    def complete(self) -> bool:
        """All of the bytes are done"""
        return 0 < self.total <= self.done

    def moved(self, now: float, done: int, total: int) -> None:
        """It is now `done` bytes far; what comes first may have been there before, and is in no rate"""
        samples = self._samples
        if not samples or done < self.done:
            samples.clear()
            samples.append((now, done))
            self._first = (now, done)
        elif now - samples[-1][0] >= SAMPLE:
            samples.append((now, done))
        while now - samples[0][0] > WINDOW and len(samples) > 1:
            samples.popleft()
        self.done, self.total, self.at = done, total, now

    def rate(self, now: float) -> float:
        """Bytes a second, of the last `WINDOW` seconds; it falls while nothing comes"""
        since, before = next((each for each in self._samples if now - each[0] <= WINDOW), (now, self.done))
        return (self.done - before) / (now - since) if now > since else 0.0

    def mean_rate(self) -> float:
        """Bytes a second from its first to its last word"""
        since, before = self._first
        return (self.done - before) / (self.at - since) if self.at > since else 0.0

    def left(self, now: float) -> float | None:
        """Seconds until it is done if it goes on like that; None when nobody can say"""
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate > 0 and self.total >= self.done else None
