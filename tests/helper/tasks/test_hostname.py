from __future__ import annotations

import os

import pytest

from helper_agent.api import TaskError
from helper_agent.tasks import hostname
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make


def test_the_first_label_and_the_whole_name(bench: Bench, context: Make) -> None:
    hostname.run(context(hostname.TASK, {"name": "web1.example.org"}))
    assert bench.tree.text("/etc/hostname") == "web1\n"
    assert "\n127.0.1.1\tweb1.example.org web1\n" in bench.tree.text("/etc/hosts")
    assert "debian" not in bench.tree.text("/etc/hosts")


def test_the_instances_name_is_the_default(bench: Bench, context: Make) -> None:
    hostname.run(context(hostname.TASK))
    assert bench.tree.text("/etc/hostname") == "web1\n"


def test_twice_is_once(bench: Bench, context: Make) -> None:
    hostname.run(context(hostname.TASK, {"name": "web1.example.org"}))
    first = bench.tree.files()
    hostname.run(context(hostname.TASK, {"name": "web1.example.org"}))
    assert bench.tree.files() == first


def test_renamed_the_former_name_is_gone(bench: Bench, context: Make) -> None:
    hostname.run(context(hostname.TASK, {"name": "web1.example.org"}))
    hostname.run(context(hostname.TASK, {"name": "db2.example.org"}))
    assert bench.tree.text("/etc/hostname") == "db2\n"
    assert "web1" not in bench.tree.text("/etc/hosts")
    assert bench.tree.text("/etc/hosts").count("127.0.1.1") == 1


def test_an_image_without_either_file(bench: Bench, context: Make) -> None:
    (bench.tree / "/etc/hostname").unlink()
    (bench.tree / "/etc/hosts").unlink()
    hostname.run(context(hostname.TASK, {"name": "web1"}))
    assert bench.tree.text("/etc/hosts").startswith("127.0.0.1\tlocalhost\n127.0.1.1\tweb1\n::1")


def test_cloud_init_is_told(bench: Bench, context: Make) -> None:
    bench.tree.folder("/etc/cloud/cloud.cfg.d")
    hostname.run(context(hostname.TASK))
    assert "preserve_hostname: true" in bench.tree.text("/etc/cloud/cloud.cfg.d/99-instance-helper-hostname.cfg")


@pytest.mark.parametrize("name", ["a b", "a\nb", "-a", "a-", "a..b", ".a", "ä", "a_b", "x" * 64, "a." * 127 + "a", "."])
def test_a_name_that_is_none(bench: Bench, context: Make, name: str) -> None:
    before = context(hostname.TASK, {"name": name}), bench.tree.files()
    with pytest.raises(TaskError) as caught:
        hostname.run(before[0])
    assert caught.value.code == "E-OPTION" or name == "."
    assert bench.tree.files() == before[1]


@pytest.mark.parametrize("path", ["/etc/hostname", "/etc/hosts"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    traps.spring(trap, bench.tree, path, lambda: hostname.run(context(hostname.TASK, {"name": "web1"})))


@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap) -> None:
    task = context(hostname.TASK, {"name": "web1"})
    traps.spring(trap, bench.tree, "/etc", lambda: hostname.run(task))


@pytest.mark.parametrize("path", ["/etc/hostname", "/etc/hosts"])
def test_a_full_disk_leaves_the_old_file(
    bench: Bench, context: Make, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = context(hostname.TASK, {"name": "web1"})
    before = bench.tree.text(path)

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        hostname.run(task)
    monkeypatch.undo()
    assert bench.tree.text(path) == before
    assert not [name for name in bench.tree.files() if ".helper-" in name]
