"""The control group: used where cgroup v2 has what it takes, and nothing touched elsewhere"""

from __future__ import annotations

from pathlib import Path

import pytest

from helper_host.vm import cgroup


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like a cgroup v2 mount"""
    mounts = tmp_path / "mountinfo"
    root = tmp_path / "cgroup"
    root.mkdir()
    (root / "cgroup.subtree_control").write_text("cpu memory pids\n")
    mounts.write_text(
        "30 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        f"31 23 0:28 / {root} rw,nosuid - cgroup2 none rw\n"
    )
    monkeypatch.setattr(cgroup, "MOUNTS", str(mounts))
    monkeypatch.setattr(cgroup, "REMOVE_SECONDS", 0.0)
    return root


def test_limits_are_set(mount: Path) -> None:
    group = cgroup.create("helper-1", 1 << 20, 96)
    assert group is not None and group.path == str(mount / "ganeti-instance-helper/helper-1")
    files = {path.name: path.read_text() for path in Path(group.path).iterdir()}
    assert files == {"memory.max": "1048576", "memory.swap.max": "0", "pids.max": "96"}
    assert (mount / "ganeti-instance-helper/cgroup.subtree_control").read_text() == "+memory +pids"
    group.remove()
    assert (Path(group.path) / "cgroup.kill").read_text() == "1"


@pytest.mark.parametrize("control", ["", "cpu io", "memory"])
def test_nothing_is_touched_without_the_controllers(mount: Path, control: str) -> None:
    (mount / "cgroup.subtree_control").write_text(control)
    assert cgroup.create("helper-1", 1 << 20, 96) is None
    assert [path.name for path in mount.iterdir()] == ["cgroup.subtree_control"]


def test_nothing_is_touched_on_version_1(mount: Path) -> None:
    Path(cgroup.MOUNTS).write_text("30 23 0:27 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n")
    assert cgroup.create("helper-1", 1 << 20, 96) is None


def test_a_removed_group_may_be_gone(tmp_path: Path) -> None:
    cgroup.Cgroup(str(tmp_path / "gone")).remove()
