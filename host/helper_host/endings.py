"""What ends a run from outside: signals and the clock, each as an exception in the main thread, and only once"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from helper_host.errors import ProviderError

ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def ending_signals(limit: float = 0.0) -> Iterator[Callable[[], None]]:
    """TERM, INT, HUP and a clock of `limit` seconds (0: none) end the run by an exception in the main thread, once

    Yields a function that stops the clock: after `GO` the VM has clocks of its own.
    """

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        ignore_endings()
        if number == signal.SIGALRM:
            raise ProviderError(
                "E-DISK-IO",
                f"Getting the image and writing it took longer than {limit:.0f} s",
                "see whether its server or the storage hangs, or raise total_timeout in the settings",
            )
        raise ProviderError(
            "E-INTERRUPTED",
            f"The deployment was ended by {signal.Signals(number).name}",
            "run it again, with gnt-instance reinstall where the instance exists",
        )

    before = {number: signal.signal(number, end) for number in (*ENDINGS, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield _stop_clock
    finally:
        _stop_clock()
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_endings() -> None:
    """What is done from now on is done to its end"""
    for number in (*ENDINGS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def _stop_clock() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
