"""Which of an image's network systems is to be told

A renderer is a module of this package with
    `active(root) -> bool`: the image runs this system
    `present(root) -> bool`: it is installed, and can be switched on
    `render(state) -> {path: text}`: its files, a pure function
    `settle(root, log, paths)`: make these files count, after they were written: what contradicts them goes away
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from helper_agent.api import Logger
from helper_agent.net import ifupdown, networkd
from helper_agent.net.state import State
from helper_agent.root import Root


class Renderer(Protocol):
    """What a renderer's module has"""

    def active(self, root: Root) -> bool:
        """Whether the image runs this system"""

    def present(self, root: Root) -> bool:
        """Whether it is installed"""

    def render(self, state: State) -> Mapping[str, str]:
        """Path -> content"""

    def settle(self, root: Root, log: Logger, paths: Sequence[str]) -> None:
        """Make `paths` count"""


RENDERERS: Mapping[str, Renderer] = {"ifupdown": ifupdown, "networkd": networkd}


def choose(root: Root, names: Sequence[str]) -> str | None:
    """Of the distribution's `names` the first that the image runs, else the first that is installed, else None; names
    that nothing is known of here are passed over"""
    names = [name for name in names if name in RENDERERS]
    running = next((name for name in names if RENDERERS[name].active(root)), None)
    return running or next((name for name in names if RENDERERS[name].present(root)), None)
