from __future__ import annotations

import contextlib

import pytest

from helper_agent.api import Skip, TaskError
from helper_agent.tasks import machine_id
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make

ID = "/etc/machine-id"
DBUS = "/var/lib/dbus/machine-id"


def test_emptied_and_not_removed(bench: Bench, context: Make) -> None:
    machine_id.run(context(machine_id.TASK))
    assert bench.tree.text(ID) == ""
    assert bench.tree.mode(ID) == 0o444
    assert not (bench.tree / DBUS).exists()


def test_made_where_systemd_has_none_yet(bench: Bench, context: Make) -> None:
    (bench.tree / ID).unlink()
    machine_id.run(context(machine_id.TASK))
    assert bench.tree.text(ID) == ""


def test_dbus_symlink_stays(bench: Bench, context: Make) -> None:
    (bench.tree / DBUS).unlink()
    bench.tree.link(DBUS, ID)
    machine_id.run(context(machine_id.TASK))
    assert (bench.tree / DBUS).is_symlink()


def test_systemds_symlink_becomes_a_file(bench: Bench, context: Make) -> None:
    (bench.tree / ID).unlink()
    bench.tree.link(ID, DBUS)
    machine_id.run(context(machine_id.TASK))
    assert not (bench.tree / ID).is_symlink()
    assert bench.tree.text(ID) == ""


def test_without_systemd(bench: Bench) -> None:
    bench.tree.put(DBUS, "x\n")
    machine_id.run(bench.context(machine_id.TASK))
    assert not (bench.tree / DBUS).exists()
    assert not (bench.tree / ID).exists()
    with pytest.raises(Skip):
        machine_id.run(bench.context(machine_id.TASK))


@pytest.mark.parametrize("path", [ID, DBUS])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(machine_id.TASK)
    with traps.laid(trap, bench.tree, path, replaces=True), contextlib.suppress(TaskError):
        machine_id.run(task)


@pytest.mark.parametrize("path", ["/etc", "/var/lib/dbus", "/var"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(machine_id.TASK)
    traps.spring(trap, bench.tree, path, lambda: machine_id.run(task))
