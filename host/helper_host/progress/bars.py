"""Progress bars on a terminal, drawn by tqdm, which is imported with the first one

tqdm is told three things: no thread of its own (a deployment forks), no lock between processes (which would import
multiprocessing), and a stream that never waits for a terminal which has been stopped or isn't read.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm.std import tqdm

WITH_TOTAL = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
WITHOUT_TOTAL = "{desc}: {n_fmt} [{elapsed}, {rate_fmt}]"
WITHOUT_BYTES = "{desc}"


class Screen:
    """A terminal as a stream for tqdm, and the bars on it; a context manager

    It is a description of the terminal of its own, without O_NONBLOCK for anybody else's.

    Raises:
        OSError: the terminal can't be opened a second time
    """

    def __init__(self, descriptor: int) -> None:
        # tqdm looks at it for what a bar can be drawn with
        self.encoding = getattr(sys.stderr, "encoding", None) or "ascii"
        self._descriptor = os.open(
            f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        )
        self._bars: list[Bar] = []

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Bars are gone, and the terminal is as it was"""
        for bar in list(self._bars):
            bar.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def bar(self) -> Bar:
        """A bar below those there are"""
        bar = Bar(self, len(self._bars))
        self._bars.append(bar)
        return bar

    def drop(self, bar: Bar) -> None:
        """It is gone: those below it move up when they are shown next"""
        if bar in self._bars:
            self._bars.remove(bar)
            for position, other in enumerate(self._bars):
                other.move(position)

    @contextlib.contextmanager
    def above(self) -> Iterator[None]:
        """What is written meanwhile to the same terminal comes above the bars, which make room for it"""
        with _class().external_write_mode(file=self):
            # a bar that has gone from a lower line leaves the cursor in the middle
            self.write("\r")
            yield

    # --- what tqdm asks of a stream -----------------------------------------------------------------------------------

    def write(self, text: str) -> int:
        """A part of a bar is better than waiting for whoever has stopped the terminal"""
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text.encode(self.encoding, "replace"))
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back"""

    def fileno(self) -> int:
        """For its width"""
        return self._descriptor

    def isatty(self) -> bool:
        """Always"""
        return True


class Bar:
    """One line: something with bytes as a bar, something without as its name"""

    def __init__(self, screen: Screen, position: int) -> None:
        self._screen = screen
        self._position = position
        self._key: object = None
        self._tqdm: tqdm[Any] | None = None

    def show(self, key: object, text: str, done: int = -1, total: int = 0, elapsed: float = 0.0) -> None:
        """Draw it

        Args:
            key: another one than before begins anew: with its own rate
            text: what comes before the bar
            done: bytes; -1: it isn't about bytes
            total: 0: unknown
            elapsed: seconds that it has taken already when it is first shown
        """
        if self._tqdm is None or key != self._key:
            self._forget()
            self._key = key
            self._tqdm = self._new(text, done, total, elapsed)
            return
        bar = self._tqdm
        bar.set_description_str(text, refresh=False)
        if done >= 0:
            bar.total = total or None
            bar.bar_format = WITH_TOTAL if total else WITHOUT_TOTAL
            # draws, as mininterval is 0
            bar.update(done - bar.n)
        else:
            bar.refresh()

    def move(self, position: int) -> None:
        """To another line"""
        if position != self._position:
            self._position = position
            self._forget()

    def close(self) -> None:
        """It is gone, without a trace"""
        self._forget()
        self._screen.drop(self)

    def _forget(self) -> None:
        if self._tqdm is not None:
            self._tqdm.close()
            self._tqdm = None

    def _new(self, text: str, done: int, total: int, elapsed: float) -> tqdm[Any]:
        formatted = (WITH_TOTAL if total else WITHOUT_TOTAL) if done >= 0 else WITHOUT_BYTES
        bar = _class()(
            desc=text,
            initial=max(done, 0),
            total=total or None,
            file=self._screen,
            position=self._position,
            bar_format=formatted,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            mininterval=0,
            miniters=0,
            dynamic_ncols=True,
            leave=False,
        )
        bar.start_t -= elapsed
        return bar


def _class() -> type[tqdm[Any]]:
    from tqdm.std import tqdm

    if tqdm.monitor_interval:
        tqdm.monitor_interval = 0
        tqdm.set_lock(threading.RLock())
    return tqdm
