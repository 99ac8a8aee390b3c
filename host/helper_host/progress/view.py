"""Deployments of this node as people and programs see them: those under way, and how the last ones ended"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from helper_host import outcomes, paths, runs, settings
from helper_host.errors import ProviderError
from helper_host.log import printable
from helper_host.progress import units
from helper_host.progress.activity import WINDOW


class View(NamedTuple):
    """A deployment that is under way, or whose process has died"""

    instance: str
    action: str
    alive: bool
    pid: int
    age: float
    """Seconds since it began."""
    image: str
    phase: str
    phase_age: float
    """Seconds since the phase began."""
    done: int
    """Bytes; -1: the phase is not about bytes."""
    total: int
    """Bytes; 0: unknown."""
    rate: float
    """Bytes a second."""
    left: float | None
    """Seconds, None: unknown."""

    @property
    def key(self) -> tuple[int, str]:
        """Another for another phase"""
        return self.pid, self.phase

    @property
    def far(self) -> str:
        """How far, "" where that is not known in bytes"""
        return units.far(self.done, self.total) if self.done >= 0 else ""

    def line(self) -> str:
        """All in a line"""
        if not self.alive:
            return f"{self.instance}: dead ({self.phase})"
        if self.done < 0:
            return f"{self.instance}: {self.phase}, for {units.duration(self.phase_age)}"
        left = f", {units.duration(self.left)} left" if self.left is not None else ""
        return f"{self.instance}: {self.phase}: {self.far}, {units.rate(self.rate)}{left}"


def view(seen: runs.Seen) -> View:
    """What a run's state says by now"""
    state, now = seen.state, time.time()
    done, total, rate = _number(state, "done", -1), _number(state, "total"), _number(state, "rate")
    if now - _number(state, "at", now) > WINDOW:
        rate = 0.0  # nothing has come for so long
    return View(
        seen.instance,
        _text(state, "action"),
        seen.alive,
        int(_number(state, "pid")),
        max(0.0, now - _number(state, "since", now)),
        _text(state, "image"),
        _text(state, "phase", "starting"),
        max(0.0, now - _number(state, "phase_since", _number(state, "since", now))),
        int(done),
        int(total),
        rate,
        (total - done) / rate if rate > 0 and total >= done >= 0 else None,
    )


def folders() -> list[str]:
    """The run folders, of the settings and of every variant

    Raises:
        ProviderError: E-SETTINGS
    """
    try:
        files = sorted(os.listdir(os.path.join(paths.SETTINGS, settings.VARIANTS)))
    except OSError:
        files = []
    names = [name.removesuffix(".toml") for name in files if name.endswith(".toml")]
    return list(dict.fromkeys(each.run_folder for each in [settings.load(), *map(settings.load, names)]))


def under_way(where: Iterable[str]) -> list[View]:
    """The deployments in these run folders

    Raises:
        ProviderError: E-NODE, a folder is there and can't be read
    """
    views = []
    for folder in where:
        try:
            views += [view(seen) for seen in runs.look(folder)]
        except FileNotFoundError:
            continue  # nothing has been deployed since the node was started
        except OSError as error:
            raise ProviderError(
                "E-NODE", f"{folder} can't be read ({error.strerror})", "only root may see what is deployed: use sudo"
            ) from None
    return sorted(views, key=lambda each: each.instance)


def ended(where: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Instance -> how its last deployment ended, where it was one of the last day"""
    return {instance: outcome for folder in where for instance, outcome in outcomes.read(folder).items()}


def outcome_line(outcome: Mapping[str, Any]) -> str:
    """An outcome in words"""
    error = _text(outcome, "error")
    ago = units.duration(max(0.0, time.time() - _number(outcome, "ended")))
    return f"failed {ago} ago: {error}" if error else f"done {ago} ago"


def _number(state: Mapping[str, Any], name: str, default: float = 0.0) -> float:
    value = state.get(name)
    return value if isinstance(value, int | float) else default


def _text(state: Mapping[str, Any], name: str, default: str = "") -> str:
    value = state.get(name)
    return printable(value) if isinstance(value, str) else default
