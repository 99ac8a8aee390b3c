from __future__ import annotations

import subprocess

import pytest

from helper_agent.api import Skip, TaskError
from helper_agent.tasks import create_users, password, ssh_keys, sudo
from helper_kit import traps, trees
from tests.helper.distros import glibc
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make, System

ADMIN = {"create": True, "users": ["admin"]}
FILES = ("/etc/passwd", "/etc/shadow", "/etc/group")


def line(bench: Bench, path: str, name: str = "admin") -> str:
    (found,) = [each for each in bench.tree.text(path).splitlines() if each.startswith(f"{name}:")]
    return found


@pytest.mark.root
@pytest.mark.parametrize("name", trees.NAMES)
def test_every_system(bench: Bench, system: System, name: str) -> None:
    """shadow's own tools find nothing to object to"""
    context = system(name)
    bench.tree.put("/etc/gshadow", "root:*::\n", mode=0o640)
    create_users.run(context(create_users.TASK, {"create": True, "users": ["newcomer"]}))
    uid = line(bench, "/etc/passwd", "newcomer").split(":")[2]
    assert line(bench, "/etc/passwd", "newcomer").startswith(f"newcomer:x:{uid}:{uid}::/home/newcomer:/")
    assert line(bench, "/etc/shadow", "newcomer").startswith("newcomer:*:")
    assert line(bench, "/etc/group", "newcomer") == f"newcomer:x:{uid}:"
    assert line(bench, "/etc/gshadow", "newcomer") == "newcomer:!::"
    assert (bench.tree.mode("/home/newcomer"), bench.tree.owner("/home/newcomer")) == (0o700, (int(uid), int(uid)))
    for argv in (["pwck", "-rq", "-R"], ["grpck", "-r", "-R"]):
        done = subprocess.run([*argv, str(bench.tree.path)], check=False, capture_output=True, text=True)
        assert "newcomer" not in done.stdout + done.stderr


def test_then_the_rest_works(bench: Bench, context: Make) -> None:
    make = context(create_users.TASK, {**ADMIN, "more": ["ops", "debian"]})
    bench.tree.put("/usr/bin/sudo", mode=0o755)
    create_users.run(make)
    password.run(context(password.TASK, {"hashes": ["$6$salt$hash"], "users": ["admin"]}))
    ssh_keys.run(context(ssh_keys.TASK, {"keys": ["ops: ssh-ed25519 AAAA"], "users": ["admin"]}))
    sudo.run(context(sudo.TASK, {"names": ["admin", "ops"]}))
    assert line(bench, "/etc/shadow").startswith("admin:$6$salt$hash:")
    assert bench.tree.text("/home/ops/.ssh/authorized_keys") == "ssh-ed25519 AAAA\n"
    assert line(bench, "/etc/passwd", "admin").split(":")[2] == "1001"
    assert line(bench, "/etc/passwd", "ops").split(":")[2] == "1002"
    with pytest.raises(Skip):
        create_users.run(make)


def test_users_that_are_there_are_not_worth_a_word(bench: Bench, context: Make) -> None:
    with pytest.raises(Skip, match="has all of them"):
        create_users.run(context(create_users.TASK, {"users": ["root", "debian"]}))
    assert not bench.log.of("warning")


def test_a_home_from_skel(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/skel/.bashrc", "# rc\n", mode=0o644)
    bench.tree.put("/etc/skel/.config/run", "#!/bin/sh\n", mode=0o4750)
    bench.tree.link("/etc/skel/link", "/etc/motd")
    create_users.run(task)
    assert bench.tree.text("/home/admin/.bashrc") == "# rc\n"
    assert bench.tree.owner("/home/admin/.bashrc") == bench.tree.owner("/home/admin/.config") == (1001, 1001)
    assert bench.tree.mode("/home/admin/.config/run") == 0o750
    assert (bench.tree / "/home/admin/link").is_symlink()


def test_a_home_that_is_there_stays(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/skel/.bashrc", "# rc\n")
    bench.tree.folder("/home/admin", mode=0o755)
    create_users.run(task)
    assert not (bench.tree / "/home/admin/.bashrc").exists()


def test_subordinate_numbers(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/subuid", "debian:100000:65536\nx:9:y\n")
    bench.tree.put("/etc/subgid", "")
    create_users.run(task)
    assert line(bench, "/etc/subuid") == "admin:165536:65536"
    assert line(bench, "/etc/subgid") == "admin:100000:65536"


def test_login_defs(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/login.defs", "#UID_MIN 1\nUID_MIN\t\t 5000\nUSERGROUPS_ENAB no\n")
    bench.tree.put("/etc/group", bench.tree.text("/etc/group") + "users:x:100:\n")
    create_users.run(task)
    assert line(bench, "/etc/passwd").split(":")[2:4] == ["5000", "100"]
    assert "\nadmin:" not in bench.tree.text("/etc/group")


def test_numbers_that_are_taken(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/group", bench.tree.text("/etc/group") + "other:x:1001:\n")
    create_users.run(task)
    assert line(bench, "/etc/passwd").split(":")[2:4] == ["1002", "1002"]


def test_no_number_of_the_administrators(bench: Bench, context: Make) -> None:
    """Also where nobody has it"""
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/login.defs", "UID_MIN 0\nUSERGROUPS_ENAB no\n")
    bench.tree.put("/etc/passwd", "a:x:1:1::/:/bin/sh\na:x:2:2::/:/bin/sh\n")
    bench.tree.put("/etc/group", "users:x:0:\n")
    create_users.run(task)
    line = bench.tree.text("/etc/passwd").splitlines()[-1]
    assert line.split(":")[:4] == ["admin", "x", "3", "3"], "and none of a line that doesn't count"


def test_what_an_earlier_group_of_that_name_has_left(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/gshadow", "root:*::\nadmin::evil:evil\n")
    create_users.run(task)
    assert bench.tree.text("/etc/gshadow") == "root:*::\nadmin:!::\n"


def test_none_is_free(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/login.defs", "UID_MIN 1000\nUID_MAX 1000\n")
    with pytest.raises(TaskError, match="no free number"):
        create_users.run(task)


def test_a_group_of_that_name_with_members(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/group", bench.tree.text("/etc/group") + "admin:x:115:debian\n")
    with pytest.raises(TaskError, match="a group of that name") as caught:
        create_users.run(task)
    assert caught.value.code == "E-USER"


def test_a_line_that_the_system_can_not_read_is_no_user(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    for path, broken in (("/etc/passwd", "admin:x::\n"), ("/etc/shadow", "admin:$6$a$b\n"), ("/etc/group", "admin\n")):
        bench.tree.put(path, broken + bench.tree.text(path), mode=0o640)
    create_users.run(task)
    assert (b"admin", b"x", 1001) in [row[:3] for row in glibc.passwd((bench.tree / "/etc/passwd").read_bytes())]
    assert (b"admin", b"*") in [row[:2] for row in glibc.shadow((bench.tree / "/etc/shadow").read_bytes())]
    assert (b"admin", b"x", 1001, ()) in glibc.group((bench.tree / "/etc/group").read_bytes())
    with pytest.raises(Skip):
        create_users.run(task)


def test_a_user_whose_number_is_none(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/passwd", bench.tree.text("/etc/passwd") + "admin:x:4294967295:1::/:/bin/sh\n")
    before = bench.tree.files()
    with pytest.raises(TaskError, match="number -1") as caught:
        create_users.run(task)
    assert caught.value.code == "E-USER"
    assert bench.tree.files() == before


def test_half_done_is_completed(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    create_users.run(task)
    whole = bench.tree.files()
    text = bench.tree.text("/etc/passwd")
    bench.tree.put("/etc/passwd", text[: text.index("admin:")])
    create_users.run(task)
    assert bench.tree.files() == whole


def test_a_password_that_an_earlier_user_of_that_name_has_left(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, {"create": True, "users": ["alice"]})
    bench.tree.put("/etc/shadow", bench.tree.text("/etc/shadow") + "alice:$6$old$hash:19000:0:99999:7:::\n", mode=0o640)
    create_users.run(task)
    assert [line for line in bench.tree.text("/etc/shadow").splitlines() if line.startswith("alice:")] == [
        "alice:*:19000:0:99999:7:::"
    ]


def test_an_image_without_shadow(bench: Bench, context: Make) -> None:
    task = context(create_users.TASK, ADMIN)
    (bench.tree / "/etc/shadow").unlink()
    create_users.run(task)
    assert line(bench, "/etc/passwd").startswith("admin:*:1001:")


@pytest.mark.parametrize(
    "path",
    [
        *FILES,
        "/etc/gshadow",
        "/etc/subuid",
        "/etc/subgid",
        "/etc/login.defs",
        "/etc/skel",
        "/etc/skel/.bashrc",
        "/home/admin",
        "/bin/bash",
    ],
)
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/skel/.bashrc", "# rc\n")
    traps.spring(trap, bench.tree, path, lambda: create_users.run(task))


@pytest.mark.parametrize("path", ["/etc", "/home", "/etc/skel", "/home/admin"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(create_users.TASK, ADMIN)
    bench.tree.put("/etc/skel/.bashrc", "# rc\n")
    traps.spring(trap, bench.tree, path, lambda: create_users.run(task))
