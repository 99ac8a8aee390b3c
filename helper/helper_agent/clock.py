"""A time limit for a task, and signs of life meanwhile: one timer, one signal

SIGALRM interrupts whatever Python does: a loop, a sleep, the wait for a command. What must not be cut in two, such as a
draft that becomes a file, is `shielded`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from helper_agent.api import TaskError

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # what `signal` adds, enums made of every constant, costs an emulated guest 10 ms

HEARTBEAT = 20.0
"""Seconds between two signs of life (a check of a large filesystem says nothing for minutes)."""
AGAIN = 2.0
"""Seconds after which a task that caught the interruption and went on is interrupted again."""
SOON = 0.005
"""Seconds until a signal that came while this module itself was at work is looked at again."""


class TimeUp(BaseException):
    """The limit was reached; no Exception, so that a task's `except Exception` doesn't take it for one of its own"""


class limit:
    """While inside, `beat` is called from time to time, and after `seconds` the work is interrupted

    In another thread than the main one, where Python handles no signals, it does nothing. It may be nested; the inner
    limit counts.

    Args:
        seconds: None for no limit, only signs of life
        who: what works there, in the words of the error
        beat: the sign of life

    Raises:
        TaskError: on the way out, when the time was up
    """

    def __init__(self, seconds: float | None, who: str = "The task", beat: Callable[[], None] | None = None) -> None:
        self._seconds = seconds
        self._who = who
        self._beat = beat
        self._deadline = 0.0
        self._handler: Any = None
        self._outer: limit | None = None
        self._timer = (0.0, 0.0)

    def __enter__(self) -> limit:
        global _current
        self._deadline = time.monotonic() + self._seconds if self._seconds is not None else float("inf")
        try:
            self._handler = signal.signal(signal.SIGALRM, _alarm)
        except ValueError:  # not the main thread: a test's
            return self
        self._outer, _current = _current, self
        self._timer = signal.setitimer(signal.ITIMER_REAL, 0)
        self._arm()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        global _current
        if _current is self:
            _current = self._outer
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._handler or signal.SIG_DFL)
            if _current is not None:
                _current._arm()
            else:
                signal.setitimer(signal.ITIMER_REAL, *self._timer)
        if isinstance(error, TimeUp):
            from helper_agent.failures import where

            raise TaskError(
                f"{self._who} was still at work after {self._seconds:g} s",
                "see in the log what it waited for; if it needs longer, let it declare a larger timeout",
                output=where(error),
            ) from error

    def _arm(self) -> None:
        left = max(self._deadline - time.monotonic(), SOON)
        signal.setitimer(signal.ITIMER_REAL, left if self._beat is None else min(left, HEARTBEAT), 0)

    def _ring(self) -> None:
        """The timer went off

        Raises:
            TimeUp
        """
        if time.monotonic() < self._deadline:
            self._arm()
            if self._beat is not None:
                self._beat()
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
        raise TimeUp


class shielded:
    """While inside, no interruption; one that is due comes at the end"""

    def __enter__(self) -> shielded:
        global _shields
        _shields += 1
        return self

    def __exit__(self, *_: object) -> None:
        global _shields
        _shields -= 1
        if not _shields:
            breathe()


def breathe() -> None:
    """In the midst of what is shielded and takes long, where an interruption or a sign of life does no harm

    Raises:
        TimeUp
    """
    global _due
    if _due:
        _due = False
        if _current is not None:
            _current._ring()


_current: limit | None = None
_shields = 0
_due = False


def _alarm(_number: int, frame: Any) -> None:
    global _due
    if _shields:
        _due = True
    elif frame is not None and frame.f_code.co_filename == _alarm.__code__.co_filename and _current is not None:
        # in the middle of arming, or of being done: an exception here would leave the timer in no known state
        signal.setitimer(signal.ITIMER_REAL, SOON)
    elif _current is not None:
        _current._ring()
