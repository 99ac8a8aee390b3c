"""Fixtures for several folders of tests"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host import signing


@pytest.fixture(scope="session")
def keys() -> Iterator[signing.Keys]:
    """Keys that signed things, and a gpg that signs more"""
    with signing.made() as keys:
        yield keys
