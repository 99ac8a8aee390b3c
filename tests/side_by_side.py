"""Which tests that need root or machines run side by side (`make test`)

By files, since what is dear belongs to one, such as a machine that is booted once; the cluster is one for all of its
folder. Its files come first, then those that boot machines.
"""

from __future__ import annotations

import pytest

CLUSTER = "tests/vm/cluster/"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gives what takes minutes the first places"""
    if hasattr(config, "workerinput"):
        items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    """0 for what takes longest: what ends the run should be small"""
    if item.nodeid.startswith(CLUSTER):
        return 0
    return 1 if item.get_closest_marker("vm") else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """As `--dist loadfile`, but that the cluster's tests stay together

    Not by `--dist loadgroup`: xdist 3.8 sets a test's group in what pytest 9 no longer reads.
    """
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist is untyped
        def _split_scope(self, nodeid: str) -> str:
            return CLUSTER if nodeid.startswith(CLUSTER) else str(super()._split_scope(nodeid))

    return Scheduling(config, log)
