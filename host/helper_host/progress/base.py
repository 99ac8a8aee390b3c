"""What a sink is"""

from __future__ import annotations

from abc import ABC
from typing import NamedTuple

from helper_host.progress.activity import Activity


class Outcome(NamedTuple):
    """How it ended"""

    error: str = ""
    """The log's last line; "" when all went well."""
    in_helper: bool = False
    """The helper has failed, and not the node."""

    @property
    def well(self) -> bool:
        return not self.error


class Sink(ABC):  # noqa: B024  each listens to what concerns it
    """Told by the monitor, one call at a time, by whichever thread has something to tell: it must not wait for anybody

    What it raises ends it, and nothing else.
    """

    name = "progress"
    """What a warning calls it when it has failed."""

    def begin(self, activity: Activity) -> None:  # noqa: B027
        """An activity begins"""

    def progress(self, activity: Activity, now: float) -> None:  # noqa: B027
        """A bytewise one has got further; about ten times a second at most, and always when it is complete"""

    def end(self, activity: Activity, remark: str) -> None:  # noqa: B027
        """An activity has ended; well, unless the deployment's outcome says otherwise

        Args:
            remark: as the timeline has it; a task's begins with its outcome unless it is done
        """

    def notice(self, text: str) -> None:  # noqa: B027
        """A warning of the helper's"""

    def close(self, outcome: Outcome) -> None:  # noqa: B027
        """The end: whatever it holds is given back"""
