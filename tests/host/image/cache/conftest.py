"""A server, a cache's folder, and ways to use them"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.image.cache.server import Server, serving
from tests.host.image.cache.using import Node


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "cache")
    yield node
    node.close()
