from __future__ import annotations

import pytest

from helper_agent.api import TaskError
from helper_agent.net import hosts as texts
from helper_agent.tasks import hostname, hosts
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import STORES, SYSTEMS, Make, System

FILE = "/etc/hosts"
LINE = "192.0.2.7 db.example.org db"
ONE = {"lines": [LINE]}
BLOCK = f"{texts.BEGIN}\n{LINE}\n{texts.END}\n"


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system(bench: Bench, system: System, name: str) -> None:
    context = system(name)
    before = bench.tree.text(FILE) if (bench.tree / FILE).exists() else texts.EMPTY
    for _ in range(2):
        hosts.run(context(hosts.TASK, ONE))
    assert bench.tree.text(FILE) == before + BLOCK


def test_a_second_run_replaces_ours_alone(bench: Bench, context: Make) -> None:
    task = context(hosts.TASK, {"lines": ["2001:db8::1 x", "192.0.2.8 y"]})
    hosts.run(context(hosts.TASK, ONE))
    bench.tree.put(FILE, f"{bench.tree.text(FILE)}192.0.2.9 theirs\n")
    before = bench.tree.text(FILE)
    hosts.run(task)
    assert bench.tree.text(FILE) == before.replace(LINE, "2001:db8::1 x\n192.0.2.8 y")


def test_the_hostname_keeps_its_own_line(bench: Bench, context: Make) -> None:
    tasks = (context(hostname.TASK), context(hosts.TASK, ONE))
    for _ in range(2):
        hostname.run(tasks[0])
        hosts.run(tasks[1])
    assert "127.0.1.1\tweb1.example.org web1\n" in bench.tree.text(FILE)
    assert bench.tree.text(FILE).endswith(f"\n{BLOCK}")
    assert bench.tree.text(FILE).count(texts.BEGIN) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", BLOCK),
        ("127.0.0.1 localhost", f"127.0.0.1 localhost\n{BLOCK}"),
        ("a\r\nb\r\n", f"a\r\nb\r\n{BLOCK}".replace("\n", "\r\n").replace("\r\r", "\r")),
        (f"{texts.BEGIN}\nno end\n", f"{texts.BEGIN}\nno end\n{BLOCK}"),
        (f"x\n{texts.END}\n{BLOCK}y", f"x\n{texts.END}\n{BLOCK}y"),
    ],
)
def test_odd_files(before: str, after: str) -> None:
    assert texts.with_block(before, [LINE]) == after
    assert texts.with_block(after, [LINE]) == after


def test_an_image_without_the_file(bench: Bench, context: Make) -> None:
    task = context(hosts.TASK, ONE)
    (bench.tree / FILE).unlink()
    hosts.run(task)
    assert bench.tree.text(FILE) == texts.EMPTY + BLOCK


def test_cloud_init_is_kept_from_making_the_file_anew(bench: Bench, system: System) -> None:
    hosts.run(system("ubuntu")(hosts.TASK, ONE))
    assert "manage_etc_hosts: false" in bench.tree.text("/etc/cloud/cloud.cfg.d/99-instance-helper-hosts.cfg")


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap) -> None:
    task = context(hosts.TASK, ONE)
    traps.spring(trap, bench.tree, FILE, lambda: hosts.run(task))


@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap) -> None:
    task = context(hosts.TASK, ONE)
    traps.spring(trap, bench.tree, "/etc", lambda: hosts.run(task))


@pytest.mark.parametrize("name", STORES)
def test_stores_say_where_to_do_it(system: System, name: str) -> None:
    context = system(name)
    with pytest.raises(TaskError, match="is not to be written") as caught:
        hosts.run(context(hosts.TASK, ONE))
    assert "set it there" in caught.value.remedy
