"""The pytest plugin for tests of tasks: `helper_tree`, `helper_task`, `helper_programs`, `helper_trap`

    def test_the_owner_is_named(helper_task: HelperTask) -> None:
        done = helper_task("org.example.motd.py", "debian", options={"owner": "example.org"})
        assert "example.org" in done.tree.text("/etc/motd")

The installed package brings it along, nothing has to be configured. It is loaded by every pytest in that environment,
so what it needs is imported when a test asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from helper_kit.recorded import Programs
    from helper_kit.testing import Done, HelperTask, HelperTree, Instance, Tree

TRAPS = "helper_traps"


def pytest_configure(config: pytest.Config) -> None:
    """Make our marker known"""
    config.addinivalue_line(
        "markers",
        f"{TRAPS}(*paths, folders=()): run the test with every trap that an image can hold at each of `paths`, and with"
        " those that can be in the place of each of `folders`",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each trap at each path of the marker"""
    if "helper_trap" not in metafunc.fixturenames:
        return
    from helper_kit import traps
    from helper_kit.testing import HelperTrap

    marker = metafunc.definition.get_closest_marker(TRAPS)
    if marker is None or not (marker.args or marker.kwargs):
        raise pytest.UsageError(
            f"{metafunc.definition.name} wants helper_trap; mark it with @pytest.mark.{TRAPS}(PATH)"
        )
    rows = [HelperTrap(trap, path) for path in marker.args for trap in traps.ALL]
    rows += [HelperTrap(trap, path) for path in marker.kwargs.get("folders", ()) for trap in traps.FOLDERS]
    metafunc.parametrize("helper_trap", rows, ids=str)


@pytest.fixture
def helper_tree(tmp_path: Path) -> Iterator[HelperTree]:
    """`helper_tree("alpine")`: the tree of an image with that system; without a name an empty one"""
    from helper_kit import trees
    from helper_kit.fake_tree import Tree

    made: list[Tree] = []

    def make(distro: str = "") -> Tree:
        tree = Tree(tmp_path / f"tree{len(made)}")
        made.append(tree)
        return trees.build(tree, distro) if distro else tree

    yield make
    for tree in made:
        tree.close()


@pytest.fixture
def helper_programs() -> Programs:
    """Stands in for the programs that the task runs: `helper_programs.answer("mkswap")`, then `.calls`"""
    from helper_kit.recorded import Programs

    return Programs()


@pytest.fixture
def helper_task(request: pytest.FixtureRequest, helper_tree: HelperTree, helper_programs: Programs) -> HelperTask:
    """Run the task of a file beside the test, on the tree of some system"""
    from helper_kit import testing

    def run(
        file: str | os.PathLike[str],
        on: Tree | str = "debian",
        *,
        options: Mapping[str, Any] | None = None,
        instance: Instance = testing.INSTANCE,
        action: str = "create",
        devices: Mapping[str, Any] | None = None,
        variables: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> Done:
        return testing.run(
            str(request.path.parent / file),
            helper_tree(on) if isinstance(on, str) else on,
            helper_programs,
            options or {},
            instance=instance,
            action=action,
            devices=devices or {},
            variables=variables or {},
            properties=properties or {},
        )

    return run
