from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helper_agent.api import TaskError
from helper_agent.declaration import has_what_it_needs
from helper_agent.tasks import password
from helper_kit import traps
from tests.helper.distros import glibc, trees
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make

YESCRYPT = "$y$j9T$salt$hash"
SHA512 = "$6$salt$hash"
BOTH = {"hashes": [YESCRYPT, SHA512]}
LIBCRYPT = "/usr/lib/x86_64-linux-gnu/libcrypt.so.1.1.0"


def field(bench: Bench, name: str, index: int, path: str = "/etc/shadow") -> str:
    line = next(line for line in bench.tree.text(path).split("\n") if line.startswith(f"{name}:"))
    return line.split(":")[index]


def test_root_by_default_every_other_byte_kept(bench: Bench, context: Make) -> None:
    password.run(context(password.TASK, BOTH))
    today = int(time.time() // 86400)
    expected = trees.SHADOW.replace("root:*:19600:", f"root:{YESCRYPT}:{today}:")
    assert bench.tree.text("/etc/shadow") == expected
    assert bench.tree.mode("/etc/shadow") == 0o640
    assert bench.tree.text("/etc/passwd") == trees.PASSWD


def test_a_locked_account_is_unlocked_and_its_ageing_kept(bench: Bench, context: Make) -> None:
    password.run(context(password.TASK, {**BOTH, "users": ["debian"]}))
    assert field(bench, "debian", 1) == YESCRYPT
    assert bench.tree.text("/etc/shadow").endswith(":3:90:7:14::\n")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_no_hash_where_everybody_reads_it(bench: Bench, context: Make, make: Callable[[Path], None]) -> None:
    """passwd has the hashes where there is no shadow; what is something else in its place is an error"""
    task = context(password.TASK, BOTH)
    (bench.tree / "/etc/shadow").unlink()
    make(bench.tree / "/etc/shadow")
    with pytest.raises(TaskError, match="/etc/shadow"):
        password.run(task)
    assert YESCRYPT not in bench.tree.text("/etc/passwd")


@pytest.mark.parametrize("number", ["9" * 5000, str(2**32 - 1), "\u0663", "-1"])
def test_an_absurd_number_in_passwd_or_shadow_is_no_defect(bench: Bench, context: Make, number: str) -> None:
    with (bench.tree.path / "etc/passwd").open("a") as passwd:
        passwd.write(f"evil:x:{number}:{number}::/home/evil:/bin/sh\n")
    shadow = bench.tree.path / "etc/shadow"
    shadow.write_text(shadow.read_text().replace("root:*:19600:0:99999:7:::", f"root:*:19600:0:99999:7::{number}:"))
    password.run(context(password.TASK, BOTH))
    assert field(bench, "root", 1) == YESCRYPT
    with pytest.raises(TaskError, match="evil"):
        password.run(context(password.TASK, {**BOTH, "users": ["evil"]}))


def test_several_users(bench: Bench, context: Make) -> None:
    password.run(context(password.TASK, {**BOTH, "users": ["debian", "root", "debian"]}))
    assert field(bench, "debian", 1) == field(bench, "root", 1) == YESCRYPT


def test_sha512_where_the_library_does_not_know_yescrypt(bench: Bench, context: Make) -> None:
    bench.tree.put(LIBCRYPT, trees.GLIBC_CRYPT)
    password.run(context(password.TASK, BOTH))
    assert field(bench, "root", 1) == SHA512


def test_sha512_where_there_is_no_library(bench: Bench, context: Make) -> None:
    (bench.tree / LIBCRYPT).unlink()
    password.run(context(password.TASK, BOTH))
    assert field(bench, "root", 1) == SHA512


def test_a_method_the_image_does_not_know(bench: Bench, context: Make) -> None:
    bench.tree.put(LIBCRYPT, trees.GLIBC_CRYPT)
    with pytest.raises(TaskError) as caught:
        password.run(context(password.TASK, {"hashes": [YESCRYPT]}))
    assert caught.value.code == "E-OPTION"
    assert YESCRYPT not in f"{caught.value} {caught.value.remedy}"
    assert bench.tree.text("/etc/shadow") == trees.SHADOW


def test_an_unknown_user_is_named_with_those_there_are(bench: Bench, context: Make) -> None:
    with pytest.raises(TaskError) as caught:
        password.run(context(password.TASK, {**BOTH, "users": ["root", "admin"]}))
    assert caught.value.code == "E-USER"
    assert "'admin'" in caught.value.cause
    assert caught.value.remedy == "set users to one of: root, debian, or give create_users=yes"
    assert bench.tree.text("/etc/shadow") == trees.SHADOW


def test_without_shadow_it_goes_into_passwd(bench: Bench, context: Make) -> None:
    (bench.tree / "/etc/shadow").unlink()
    password.run(context(password.TASK, BOTH))
    assert field(bench, "root", 1, "/etc/passwd") == YESCRYPT
    assert not (bench.tree / "/etc/shadow").exists()


def test_a_user_that_shadow_lacks_is_added(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/shadow", "daemon:*:19600:0:99999:7:::", mode=0o640)
    password.run(context(password.TASK, BOTH))
    assert bench.tree.text("/etc/shadow").split("\n")[1].startswith(f"root:{YESCRYPT}:")
    assert bench.tree.text("/etc/shadow").count("\n") == 2


@pytest.mark.parametrize("former", ["", "*", "$1$a$b"])
def test_passwd_points_to_shadow(bench: Bench, context: Make, former: str) -> None:
    bench.tree.put("/etc/passwd", trees.PASSWD.replace("root:x:", f"root:{former}:"))
    password.run(context(password.TASK, BOTH))
    assert bench.tree.text("/etc/passwd") == trees.PASSWD


def test_a_wrong_clock_switches_ageing_off(bench: Bench, context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 12.0)
    password.run(context(password.TASK, BOTH))
    assert field(bench, "root", 2) == ""


def test_expired_and_shell_less_accounts_are_warned_of(bench: Bench, context: Make) -> None:
    shadow = trees.SHADOW.replace("www-data:*:19600:0:99999:7:::", "www-data:*:19600:0:99999:7::19000:")
    bench.tree.put("/etc/shadow", shadow)
    password.run(context(password.TASK, {**BOTH, "users": ["www-data"]}))
    assert field(bench, "www-data", 7) == "19000"
    assert len(bench.log.of("warning")) == 2


def test_nothing_given() -> None:
    assert not has_what_it_needs(password.TASK, {"users": ["root"]})


def test_no_line_of_the_log_has_the_hash(bench: Bench, context: Make) -> None:
    password.run(context(password.TASK, BOTH))
    assert not any("hash" in message.replace("hashes", "") for _, message in bench.log.lines)


@pytest.mark.parametrize(
    "content",
    [b"ro\xe9t:x\nroot:*:1::::::\n", b"root:*:1::::::", b" root:*:1::::::\nx:\xff:1::::::\r\n"],
    ids=["not-utf-8", "no-newline", "blanks"],
)
def test_odd_files_survive(bench: Bench, context: Make, content: bytes) -> None:
    bench.tree.put("/etc/shadow", content)
    password.run(context(password.TASK, BOTH))
    today = str(int(time.time() // 86400)).encode()
    expected = content.replace(b"root:*:1:", b"root:" + YESCRYPT.encode() + b":" + today + b":")
    assert (bench.tree / "/etc/shadow").read_bytes() == expected


@pytest.mark.parametrize(
    "line", ["root:*", "root:*:19600:0:99999:7:::\r", "root:*:19600:0:99999:7::", "#root:*:1:0:9:7:::"]
)
def test_a_line_that_the_system_can_not_read_is_none(bench: Bench, context: Make, line: str) -> None:
    """glibc skips it: somebody who is in no other line has no password"""
    bench.tree.put("/etc/shadow", f"{line}\n", mode=0o640)
    password.run(context(password.TASK, BOTH))
    rows = glibc.shadow((bench.tree / "/etc/shadow").read_bytes())
    assert [row[:2] for row in rows] == [(b"root", YESCRYPT.encode())]


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd", LIBCRYPT])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(password.TASK, BOTH)
    traps.spring(trap, bench.tree, path, lambda: password.run(task))


@pytest.mark.parametrize("path", ["/etc", "/usr/lib/x86_64-linux-gnu"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(password.TASK, BOTH)
    traps.spring(trap, bench.tree, path, lambda: password.run(task))


def test_a_write_that_fails_half_way_leaves_the_old_file(
    bench: Bench, context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = context(password.TASK, BOTH)
    real = os.write
    calls: list[int] = []

    def full(fd: int, data: bytes) -> int:
        calls.append(fd)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(fd, data[:20])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        password.run(task)
    monkeypatch.undo()
    assert bench.tree.text("/etc/shadow") == trees.SHADOW
    assert not [name for name in bench.tree.files() if ".helper-" in name]
