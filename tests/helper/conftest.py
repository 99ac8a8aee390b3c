"""Fixtures for tests of the agent and of tasks"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.helper.node import Node
from tests.helper.support import Bench, Tree


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """An empty tree for an image"""
    tree = Tree(tmp_path / "tree")
    yield tree
    tree.close()


@pytest.fixture
def bench(tree: Tree) -> Bench:
    """`bench.context(TASK, {"name": "x"})` on `tree`"""
    return Bench(tree)


@pytest.fixture
def node(tree: Tree, tmp_path: Path) -> Node:
    """The other end of the port; `node.task(...)`, then `node.run()`"""
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(4096))
    return Node(tree, disk)


@pytest.fixture(autouse=True)
def no_programs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that starts a process is a mistake, unless it is marked `root` or `programs`"""
    if request.node.get_closest_marker("root") or request.node.get_closest_marker("programs"):
        return

    def refuse(*arguments: object, **_: object) -> NoReturn:
        raise AssertionError(f"a unit test started {arguments[0]!r}; mark it `programs` if it must")

    monkeypatch.setattr(subprocess, "Popen", refuse)
