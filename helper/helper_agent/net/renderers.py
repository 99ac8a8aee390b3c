"""Which of an image's network systems is to be told

A renderer is a module of this package, named as in `Distro.renderers`, with
    `active(root) -> bool`: the image runs this system
    `present(root) -> bool`: it is installed, and can be switched on
    `render(state) -> {path: text}`: its files, a pure function
    `settle(root, log, paths)`: make these files count, after they were written: what contradicts them goes away
and, where they are not as here,
    `MODE = 0o644`: permission bits of its files
    `RESOLVES = False`: whether its files bring the name servers to the resolver too; otherwise `net.dns` does
    `lacks(state) -> [words]`: what of the state its system can't do, where that is no error; nothing

Modules are imported when they are asked for, which saves boot time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from helper_agent.api import Logger, TaskError
from helper_agent.net.state import State
from helper_agent.net.wishes import RENDERERS
from helper_agent.root import Root

MODE = 0o644


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


def find(name: str) -> Renderer | None:
    """The renderer `name`, None where there is none"""
    if name not in RENDERERS:
        return None
    found: Any = import_module(f"{__package__}.{name}")
    renderer: Renderer = found
    return renderer


def mode(renderer: Renderer) -> int:
    """Permission bits of its files"""
    return int(getattr(renderer, "MODE", MODE))


def resolves(renderer: Renderer) -> bool:
    """Whether its files bring the name servers to the resolver"""
    return bool(getattr(renderer, "RESOLVES", False))


def lacks(renderer: Renderer, state: State) -> Sequence[str]:
    """What of `state` its system can't do"""
    found: Sequence[str] = renderer.lacks(state) if hasattr(renderer, "lacks") else ()
    return found


def choose(root: Root, names: Sequence[str]) -> str | None:
    """Of the distribution's `names` the first that the image runs, else the first that is installed, else None"""
    found = {name: renderer for name in names if (renderer := find(name))}
    running = next((name for name, renderer in found.items() if renderer.active(root)), None)
    return running or next((name for name, renderer in found.items() if renderer.present(root)), None)


def forced(root: Root, name: str) -> str:
    """`name`, which somebody asked for

    Raises:
        TaskError: E-OPTION, there is no such renderer; or it is not installed in the image
    """
    renderer = find(name)
    if renderer is None:
        raise TaskError(
            f"There is no network renderer {name!r}", f"give one of {', '.join(RENDERERS)}", code="E-OPTION"
        )
    if not renderer.present(root):
        raise TaskError(
            f"The network is to be configured by {name}, which is not installed in the image",
            "leave the choice to the image (network_renderer=), or install it there",
        )
    return name
