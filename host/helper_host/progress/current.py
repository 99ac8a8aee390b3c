"""The one thing to show of all that is under way"""

from __future__ import annotations

from helper_host.progress.activity import BYTES, Activity
from helper_host.progress.base import Sink


class Following(Sink):
    """A sink that shows one activity at a time

    The helper boots while the image is written: what can tell how far it is comes first, then what began last.
    """

    def __init__(self) -> None:
        self._open: list[Activity] = []

    @property
    def current(self) -> Activity | None:
        """What to show, None when there is nothing"""
        shown = [each for each in self._open if each.kind == BYTES] or self._open
        return shown[-1] if shown else None

    def begin(self, activity: Activity) -> None:
        self._open.append(activity)
        self.show()

    def progress(self, activity: Activity, now: float) -> None:  # noqa: ARG002
        if activity is self.current:
            self.show()

    def end(self, activity: Activity, remark: str) -> None:  # noqa: ARG002
        if activity in self._open:
            self._open.remove(activity)
        self.show()

    def show(self) -> None:
        """What is current may be another, or further than before"""
        raise NotImplementedError
