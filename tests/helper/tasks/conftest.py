"""Fixtures for tests of tasks"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import pytest

from helper_agent.api import Context, Task
from helper_agent.protocol import Instance
from tests.helper.distros import trees
from tests.helper.support import INSTANCE, Bench


class Make(Protocol):
    """`context(TASK, {...})` on Debian 12"""

    def __call__(
        self, task: Task, options: Mapping[str, Any] | None = None, instance: Instance = INSTANCE
    ) -> Context: ...


@pytest.fixture
def context(bench: Bench) -> Make:
    """A context on a tree of Debian 12; `bench.tree` and `bench.log` show what happened"""
    distro = trees.distro(trees.debian12(bench.tree))

    def make(task: Task, options: Mapping[str, Any] | None = None, instance: Instance = INSTANCE) -> Context:
        return bench.context(task, options, instance=instance, distro=distro)

    return make
