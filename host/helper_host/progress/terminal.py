"""A bar on the terminal of whoever has called `create`, or one of our tools, by hand

The log goes to the same terminal: its lines come above the bar. When all is done nothing of the bar is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helper_host.log import Log, printable
from helper_host.progress.activity import BYTES, STEP
from helper_host.progress.base import Outcome
from helper_host.progress.current import Following

if TYPE_CHECKING:
    from helper_host.progress.bars import Bar, Screen


class Terminal(Following):
    """Shows what is current"""

    name = "the progress bar"

    def __init__(self, log: Log, descriptor: int = 2) -> None:
        super().__init__()
        self._log = log
        self._descriptor = descriptor
        self._screen: Screen | None = None
        self._bar: Bar | None = None

    def show(self) -> None:
        activity = self.current
        if activity is None:
            return  # the next one comes at once, or the end
        if self._bar is None:
            # tqdm comes with it
            from helper_host.progress.bars import Screen

            self._screen = Screen(self._descriptor)
            self._bar = self._screen.bar()
            self._log.beside = self._screen.above
        text = printable(f"helper: {activity.what}" if activity.kind == STEP else activity.what)[:60]
        if activity.kind == BYTES:
            self._bar.show(activity, text, activity.done, activity.total)
        else:
            self._bar.show(activity, f"{text} ...")

    def close(self, outcome: Outcome) -> None:  # noqa: ARG002
        if self._screen is not None:
            self._log.beside = None
            self._screen.close()
            self._screen = self._bar = None
