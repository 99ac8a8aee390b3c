from __future__ import annotations

import subprocess

import pytest

from helper_agent.api import TaskError
from helper_agent.distros import groups
from helper_agent.tasks import sudo
from helper_kit import traps, trees
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make, System

DEBIAN = {"names": ["debian"]}
MAIN = "/etc/sudoers"
FILE = "/etc/sudoers.d/90-instance-helper"
SUDOERS = "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"
RULE = "debian ALL=(ALL:ALL) NOPASSWD: ALL"


def with_sudo(bench: Bench, text: str = SUDOERS) -> None:
    bench.tree.put("/usr/bin/sudo", "\x7fELF", mode=0o4755)
    bench.tree.put(MAIN, text, mode=0o440)


def with_doas(bench: Bench) -> None:
    bench.tree.put("/usr/bin/doas", "\x7fELF", mode=0o4755)


@pytest.mark.parametrize("name", trees.NAMES)
def test_every_system(bench: Bench, system: System, name: str) -> None:
    context = system(name)
    with_sudo(bench)
    sudo.run(context(sudo.TASK, {"names": ["root"]}))
    assert bench.tree.text(FILE).splitlines()[1:] == ["root ALL=(ALL:ALL) NOPASSWD: ALL"]
    assert bench.tree.mode(FILE) == 0o440
    assert bench.tree.owner(FILE) == (0, 0)


def test_twice_is_once_and_replaces(bench: Bench, context: Make) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_sudo(bench)
    sudo.run(context(sudo.TASK, {"names": ["root", "debian"]}))
    for _ in range(2):
        sudo.run(task)
    assert bench.tree.text(FILE).splitlines()[1:] == [RULE]
    assert bench.tree.text(MAIN) == SUDOERS


@pytest.mark.parametrize("old", ["#includedir /etc/sudoers.d", '@includedir "/etc/sudoers.d/"', ""])
def test_the_folder_is_read(bench: Bench, context: Make, old: str) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_sudo(bench, f"root ALL=(ALL) ALL\n{old}\n")
    sudo.run(task)
    last = bench.tree.text(MAIN).splitlines()[-1]
    assert last == (old or "#includedir /etc/sudoers.d")
    assert bench.tree.mode(MAIN) == 0o440


@pytest.mark.programs
@pytest.mark.parametrize("name", ["debian", "ADMIN", "ALL", "Defaults", "User_Alias", "_x", "a.b-c"])
def test_visudo_takes_it(bench: Bench, context: Make, name: str) -> None:
    task = context(sudo.TASK, {"names": [name]})
    with_sudo(bench)
    bench.tree.put("/etc/passwd", f"{name}:x:1007:1007::/home/x:/bin/bash\n")
    sudo.run(task)
    argv = ["visudo", "-c", "-s", "-f", str(bench.tree / FILE)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout


def test_member_of_the_groups_of_administrators(bench: Bench, context: Make) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_sudo(bench)
    bench.tree.put("/etc/group", bench.tree.text("/etc/group") + "sudo:x:27:x\nwheel:x:28:\n")
    bench.tree.put("/etc/gshadow", "root:*::\nsudo:*::x\n", mode=0o640)
    for _ in range(2):
        sudo.run(task)
    assert "sudo:x:27:x,debian\n" in bench.tree.text("/etc/group")
    assert "wheel:x:28:\n" in bench.tree.text("/etc/group")
    assert bench.tree.text("/etc/gshadow") == "root:*::\nsudo:*::x,debian\n"
    assert bench.tree.mode("/etc/gshadow") == 0o640
    assert bench.log.of("info")[0] == "sudo for debian, members of sudo"


def test_doas(bench: Bench, context: Make) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_doas(bench)
    bench.tree.put("/etc/doas.conf", "permit persist :wheel\n", mode=0o640)
    for _ in range(2):
        sudo.run(task)
    assert bench.tree.text("/etc/doas.conf") == "permit persist :wheel\npermit nopass debian\n"
    assert bench.tree.mode("/etc/doas.conf") == 0o600


def test_doas_that_reads_a_folder(bench: Bench, context: Make) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_doas(bench)
    bench.tree.folder("/etc/doas.d")
    sudo.run(task)
    assert bench.tree.text("/etc/doas.d/90-instance-helper.conf").splitlines()[1:] == ["permit nopass debian"]
    assert not (bench.tree / "/etc/doas.conf").exists()


@pytest.mark.programs
def test_doas_itself_takes_it(bench: Bench, context: Make) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_doas(bench)
    sudo.run(task)
    argv = ["doas", "-C", str(bench.tree / "/etc/doas.conf")]
    assert subprocess.run(argv, check=False, capture_output=True).returncode == 0


def test_neither_of_them(context: Make) -> None:
    with pytest.raises(TaskError, match="neither sudo nor doas") as caught:
        sudo.run(context(sudo.TASK, DEBIAN))
    assert "install" in caught.value.remedy


def test_an_unknown_user(bench: Bench, context: Make) -> None:
    task = context(sudo.TASK, {"names": ["nobody-here"]})
    with_sudo(bench)
    with pytest.raises(TaskError) as caught:
        sudo.run(task)
    assert (caught.value.code, caught.value.remedy) == (
        "E-USER",
        "set sudo to one of: root, debian, or give create_users=yes",
    )


@pytest.mark.parametrize("path", [MAIN, FILE, "/usr/bin/sudo", "/etc/group", "/etc/gshadow", "/etc/passwd"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_sudo(bench)
    bench.tree.put("/etc/group", "sudo:x:27:\n")
    traps.spring(trap, bench.tree, path, lambda: sudo.run(task))


@pytest.mark.parametrize("path", ["/etc/doas.conf", "/etc/doas.d", "/usr/bin/doas"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_doas_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_doas(bench)
    traps.spring(trap, bench.tree, path, lambda: sudo.run(task))


@pytest.mark.parametrize("path", ["/etc/sudoers.d", "/etc"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(sudo.TASK, DEBIAN)
    with_sudo(bench)
    traps.spring(trap, bench.tree, path, lambda: sudo.run(task))


def test_groups_are_read_as_getgrnam_reads_them(bench: Bench) -> None:
    bench.tree.put("/etc/group", "a:x:1:x,,y\r\na:x:2:\nbroken\nb:x:-1:\n")
    assert groups.read(bench.tree.root()) == {"a": groups.Group("a", 1, ("x", "y\r"))}
