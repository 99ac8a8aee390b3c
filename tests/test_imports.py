"""Imports point one way, and what the guest imports on its main path is light"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
HOST = sorted((HERE / "host").rglob("*.py"))
KIT = sorted((HERE / "helper" / "helper_kit").rglob("*.py"))
AGENT = sorted((HERE / "helper" / "helper_agent").rglob("*.py"))
TASKS = [path for path in AGENT if path.parent.name == "tasks"]

SHARED = {
    "helper_agent.protocol",
    "helper_agent.job",
    "helper_agent.strict_json",
    "helper_agent.run",
    # what tasks and images declare, read on both ends
    "helper_agent.declaration",
    "helper_agent.order",
    "helper_agent.taskfile",
    "helper_agent.description",
    # snf-image's names, for migration
    "helper_agent.snf",
    # what nic0=... means, checked on the node and read in the helper
    "helper_agent.net.wishes",
    # what comes of it with Ganeti's NICs, tried on the node before the disk is written, and what that raises
    "helper_agent.net.nics",
    "helper_agent.api",
}
"""All of the agent that the host may import."""
FOR_TASKS = ("helper_agent.api", "helper_agent.protocol")
FOR_BUILT_IN_TASKS = (
    "helper_agent.root",
    "helper_agent.boot",
    "helper_agent.distros",
    "helper_agent.net",
    "helper_agent.disk",
    "helper_agent.filesystems",
    "helper_agent.init",
    "helper_agent.selinux",
)
HEAVY = (
    "dataclasses",
    "pathlib",
    "inspect",
    "pyudev",
    "jinja2",
    "logging",
    "tempfile",
    "shutil",
    "ipaddress",
    "subprocess",
)
"""Each costs an emulated guest a tenth of a second or more; the agent does without, or imports them late."""
LATE_ROOMS = ("accounts", "editing", "journal", "removal")
FOR_FEW = ("luks", "lvm", "mapper", "ostree", "volumes")
"""Of the disk's modules, those for what few images have."""


def imports(path: Path) -> Iterator[str]:
    """Modules that `path` names in any import statement, those for type checking only left out"""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            # `from package import module` names a module, `from module import name` doesn't: both are covered
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def named(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("path", HOST, ids=lambda path: str(path.relative_to(HERE)))
def test_the_host_imports_only_what_is_shared_of_the_agent(path: Path) -> None:
    for module in imports(path):
        if named(module, ("helper_agent",)) and module != "helper_agent":
            assert named(module, tuple(SHARED)) or module == "helper_agent.net", f"{path} imports {module}"


@pytest.mark.parametrize("path", AGENT, ids=lambda path: str(path.relative_to(HERE)))
def test_the_agent_never_imports_the_host(path: Path) -> None:
    others = ("helper_host", "helper_kit", "host", "tests")
    assert not [module for module in imports(path) if named(module, others)]


@pytest.mark.parametrize("path", KIT, ids=lambda path: str(path.relative_to(HERE)))
def test_the_kit_never_imports_the_host(path: Path) -> None:
    assert not [module for module in imports(path) if named(module, ("helper_host", "host", "tests"))]


def test_of_the_host_only_the_authors_command_imports_the_kit() -> None:
    users = [path for path in HOST if any(named(module, ("helper_kit",)) for module in imports(path))]
    assert [path.name for path in users] == ["task.py"]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_tasks_import_the_api_and_where_distros_and_disks_differ(path: Path) -> None:
    for module in imports(path):
        if named(module, ("helper_agent",)) and module != "helper_agent":
            assert named(module, (*FOR_TASKS, *FOR_BUILT_IN_TASKS)), f"{path} imports {module}"


def test_the_agent_starts_light() -> None:
    """What is in memory when the run begins, the built-in tasks with it"""
    script = (
        f"import sys; sys.path.insert(0, {str(HERE / 'helper')!r})\n"
        "from helper_agent import agent\n"
        "before = set(sys.modules)\n"
        "agent.real_layers()\n"
        "print(*sorted(before), '|', *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    hello, _, everything = done.stdout.partition("|")
    assert not set(HEAVY) & set(everything.split())
    # of the path API's rooms, those that few tasks enter
    assert not {f"helper_agent.tree.{name}" for name in LATE_ROOMS} & set(everything.split())
    assert not {f"helper_agent.disk.{name}" for name in FOR_FEW} & set(everything.split())
    # `hello` goes out before these are needed
    late = {"ctypes", "subprocess", "helper_agent.job", "helper_agent.root", "helper_agent.registry"}
    assert not late & set(hello.split())
