from __future__ import annotations

import time

import pytest

from helper_agent.api import Skip
from helper_agent.tasks import lock_root, password
from helper_kit import traps, trees
from tests.helper.distros import trees as debian
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make, System

LOCK = {"lock": True}
HASH = "$6$salt$hash"


def with_root(bench: Bench, field: str) -> None:
    text = "\n".join(
        line if not line.startswith("root:") else ":".join(("root", field, *line.split(":")[2:]))
        for line in bench.tree.text("/etc/shadow").split("\n")
    )
    bench.tree.put("/etc/shadow", text, mode=0o640)


@pytest.mark.parametrize("name", trees.NAMES)
def test_every_system(bench: Bench, system: System, name: str) -> None:
    context = system(name)
    with_root(bench, HASH)
    before = bench.tree.text("/etc/shadow")
    lock_root.run(context(lock_root.TASK, LOCK))
    assert bench.tree.text("/etc/shadow") == before.replace(HASH, "*")
    assert bench.tree.text("/etc/passwd").startswith("root:x:")


@pytest.mark.parametrize("field", ["*", "!", "!!", "!*", "!$6$a$b"])
def test_locked_already(bench: Bench, context: Make, field: str) -> None:
    task = context(lock_root.TASK, LOCK)
    with_root(bench, field)
    before = bench.tree.text("/etc/shadow")
    with pytest.raises(Skip):
        lock_root.run(task)
    assert bench.tree.text("/etc/shadow") == before


def test_no_password_at_all_is_one(bench: Bench, context: Make) -> None:
    task = context(lock_root.TASK, LOCK)
    with_root(bench, "")
    lock_root.run(task)
    assert bench.tree.text("/etc/shadow").startswith("root:*:")


def test_a_password_in_passwd(bench: Bench, context: Make) -> None:
    task = context(lock_root.TASK, LOCK)
    bench.tree.put("/etc/passwd", debian.PASSWD.replace("root:x:", f"root:{HASH}:"))
    lock_root.run(task)
    assert bench.tree.text("/etc/passwd") == debian.PASSWD.replace("root:x:", "root:*:")


def test_a_warning_when_nobody_is_left(bench: Bench, context: Make) -> None:
    task = context(lock_root.TASK, LOCK)
    with_root(bench, HASH)
    lock_root.run(task)
    (warning,) = bench.log.of("warning")
    assert warning.startswith("Nobody can log in")


def test_another_user_has_a_password(bench: Bench, context: Make) -> None:
    task = context(lock_root.TASK, LOCK)
    password.run(context(password.TASK, {"hashes": [HASH], "users": ["root", "debian"]}))
    lock_root.run(task)
    assert bench.log.of("warning") == []


def test_root_has_a_key(bench: Bench, context: Make) -> None:
    task = context(lock_root.TASK, LOCK)
    with_root(bench, HASH)
    bench.tree.put("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA\n")
    lock_root.run(task)
    assert bench.log.of("warning") == []


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/etc/passwd", "/etc/ssh/sshd_config", "/root/.ssh/authorized_keys", "/root/.ssh"]
)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(lock_root.TASK, LOCK)
    with_root(bench, HASH)
    traps.spring(trap, bench.tree, path, lambda: lock_root.run(task))


@pytest.mark.parametrize("path", ["/etc", "/root", "/etc/ssh/sshd_config.d"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(lock_root.TASK, LOCK)
    with_root(bench, HASH)
    traps.spring(trap, bench.tree, path, lambda: lock_root.run(task))


def test_as_many_users_as_there_may_be(bench: Bench, context: Make) -> None:
    task = context(lock_root.TASK, LOCK)
    names = [f"user{number}" for number in range(12_000)]
    passwd = "".join(f"{name}:x:{number}:{number}::/home/{name}:/bin/sh\n" for number, name in enumerate(names, 1000))
    bench.tree.put("/etc/passwd", bench.tree.text("/etc/passwd") + passwd)
    with_root(bench, HASH)
    bench.tree.put("/etc/shadow", bench.tree.text("/etc/shadow") + "".join(f"{name}:*:1::::::\n" for name in names))
    began = time.process_time()
    lock_root.run(task)
    assert time.process_time() - began < 1.5
    assert "Nobody can log in" in bench.log.of("warning")[-1]
