"""Fixtures for tests of tasks"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from helper_agent import release
from helper_agent.api import Context, Task
from helper_agent.distros import base
from helper_agent.job import Instance
from helper_kit import trees as builder
from tests.helper.distros import trees
from tests.helper.support import INSTANCE, Bench


class Make(Protocol):
    """`context(TASK, {...})` on Debian 12"""

    def __call__(
        self, task: Task, options: Mapping[str, Any] | None = None, instance: Instance = INSTANCE
    ) -> Context: ...


STORES = ("guix", "nixos")
"""Systems whose files below /etc are made from one description."""
SYSTEMS = tuple(name for name in builder.NAMES if name not in STORES)


class System(Protocol):
    """`system("alpine")` fills `bench.tree` with one of `helper_kit.trees.NAMES`, and makes contexts on it"""

    def __call__(self, name: str) -> Make: ...


@pytest.fixture
def system(bench: Bench) -> System:
    """A context on the tree of any system; `bench.tree` and `bench.log` show what happened"""

    def fill(name: str) -> Make:
        root = builder.build(bench.tree, name).root()
        distro = base.detect(release.read(root), root)

        def make(task: Task, options: Mapping[str, Any] | None = None, instance: Instance = INSTANCE) -> Context:
            return bench.context(task, options, instance=instance, distro=distro)

        return make

    return fill


@pytest.fixture
def context(bench: Bench) -> Make:
    """A context on a tree of Debian 12; `bench.tree` and `bench.log` show what happened"""
    distro = trees.distro(trees.debian12(bench.tree))

    def make(task: Task, options: Mapping[str, Any] | None = None, instance: Instance = INSTANCE) -> Context:
        return bench.context(task, options, instance=instance, distro=distro)

    return make
