from __future__ import annotations

import os

import pytest

from helper_agent.api import TaskError
from helper_agent.declaration import has_what_it_needs
from helper_agent.tasks import ssh_keys
from helper_kit import traps
from tests.helper.distros import trees
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make

ONE = "ssh-ed25519 AAAAone me@home"
TWO = 'command="ls" ssh-rsa AAAAtwo you'
KEYS = {"keys": [ONE, TWO]}
FILE = "/home/debian/.ssh/authorized_keys"


def config(bench: Bench, *lines: str) -> None:
    bench.tree.put("/etc/ssh/sshd_config", "\n".join((*lines, "")) + trees.SSHD_CONFIG)


def test_owner_and_modes(bench: Bench, context: Make) -> None:
    ssh_keys.run(context(ssh_keys.TASK, {**KEYS, "users": ["debian"]}))
    assert bench.tree.text(FILE) == f"{ONE}\n{TWO}\n"
    assert (bench.tree.mode(FILE), bench.tree.owner(FILE)) == (0o600, (1000, 1000))
    folder = "/home/debian/.ssh"
    assert (bench.tree.mode(folder), bench.tree.owner(folder)) == (0o700, (1000, 1000))


def test_root_by_default(bench: Bench, context: Make) -> None:
    ssh_keys.run(context(ssh_keys.TASK, KEYS))
    assert bench.tree.text("/root/.ssh/authorized_keys") == f"{ONE}\n{TWO}\n"
    assert bench.log.of("warning") == []


@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
def test_beside_those_that_are_there_and_once(bench: Bench, context: Make, end: str) -> None:
    bench.tree.put(FILE, f"# mine\nssh-rsa old\n{ONE}{end}", mode=0o644)
    for _ in range(2):
        ssh_keys.run(context(ssh_keys.TASK, {"keys": [ONE, TWO, TWO], "users": ["debian"]}))
    assert (bench.tree / FILE).read_bytes().decode() == f"# mine\nssh-rsa old\n{ONE}{end or chr(10)}{TWO}\n"
    assert bench.tree.mode(FILE) == 0o600


def test_a_home_that_is_missing_is_made(bench: Bench, context: Make) -> None:
    (bench.tree / "/home/debian").rmdir()
    ssh_keys.run(context(ssh_keys.TASK, {**KEYS, "users": ["debian"]}))
    assert (bench.tree.mode("/home/debian"), bench.tree.owner("/home/debian")) == (0o700, (1000, 1000))


@pytest.mark.parametrize(
    ("pattern", "path", "mode"),
    [
        (".ssh/keys .ssh/authorized_keys", "/home/debian/.ssh/keys", 0o600),
        ("%h/.ssh/keys", "/home/debian/.ssh/keys", 0o600),
        ("/etc/ssh/keys/%u", "/etc/ssh/keys/debian", 0o644),
        ("/etc/ssh/keys-%U/%%h", "/etc/ssh/keys-1000/%h", 0o644),
        ('"/etc/ssh/some keys"', "/etc/ssh/some keys", 0o644),
        ("keys", "/home/debian/keys", 0o600),
        ("= .ssh/keys", "/home/debian/.ssh/keys", 0o600),
    ],
)
def test_authorized_keys_file(bench: Bench, context: Make, pattern: str, path: str, mode: int) -> None:
    config(bench, f"AuthorizedKeysFile {pattern}")
    ssh_keys.run(context(ssh_keys.TASK, {**KEYS, "users": ["debian"]}))
    assert bench.tree.text(path) == f"{ONE}\n{TWO}\n"
    assert bench.tree.mode(path) == mode
    assert bench.tree.owner(path) == ((1000, 1000) if mode == 0o600 else (0, 0))


def test_an_included_file_counts_first(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/ssh/sshd_config.d/10-keys.conf", "authorizedkeysfile=/etc/keys\n")
    bench.tree.put("/etc/ssh/sshd_config.d/20-keys.conf", "AuthorizedKeysFile none\n")
    ssh_keys.run(context(ssh_keys.TASK, KEYS))
    assert bench.tree.text("/etc/keys") == f"{ONE}\n{TWO}\n"


def test_none_is_an_error(bench: Bench, context: Make) -> None:
    config(bench, "AuthorizedKeysFile none")
    with pytest.raises(TaskError, match="AuthorizedKeysFile none"):
        ssh_keys.run(context(ssh_keys.TASK, KEYS))


def test_match_blocks_do_not_count(bench: Bench, context: Make) -> None:
    text = trees.SSHD_CONFIG + "Match User x\n AuthorizedKeysFile none\n PermitRootLogin no\n"
    bench.tree.put("/etc/ssh/sshd_config", text)
    ssh_keys.run(context(ssh_keys.TASK, KEYS))
    assert (bench.tree / "/root/.ssh/authorized_keys").exists()
    assert bench.log.of("warning") == []


@pytest.mark.parametrize("line", ["PermitRootLogin no", "permitrootlogin forced-commands-only"])
def test_root_that_may_not_log_in_is_warned_of(bench: Bench, context: Make, line: str) -> None:
    config(bench, line)
    ssh_keys.run(context(ssh_keys.TASK, {**KEYS, "users": ["root", "debian"]}))
    assert len(bench.log.of("warning")) == 1


def test_a_home_that_is_the_root_folder(bench: Bench, context: Make) -> None:
    config(bench, "AuthorizedKeysFile /etc/ssh/keys-%u")
    ssh_keys.run(context(ssh_keys.TASK, {**KEYS, "users": ["systemd-network"]}))
    assert bench.tree.owner("/etc/ssh/keys-systemd-network") == (0, 0)
    assert bench.tree.mode("/etc/ssh") == 0o755


def test_a_home_others_may_write_to_is_warned_of(bench: Bench, context: Make) -> None:
    task = context(ssh_keys.TASK, KEYS)
    (bench.tree / "/root").chmod(0o775)
    ssh_keys.run(task)
    assert "StrictModes" in bench.log.of("warning")[0]


def test_without_sshd_the_usual_file(bench: Bench, context: Make) -> None:
    (bench.tree / "/etc/ssh/sshd_config").unlink()
    ssh_keys.run(context(ssh_keys.TASK, KEYS))
    assert (bench.tree / "/root/.ssh/authorized_keys").exists()


def test_an_unknown_user(bench: Bench, context: Make) -> None:
    with pytest.raises(TaskError) as caught:
        ssh_keys.run(context(ssh_keys.TASK, {**KEYS, "users": ["admin"]}))
    assert caught.value.code == "E-USER"


def test_nothing_given() -> None:
    assert not has_what_it_needs(ssh_keys.TASK, {"users": ["root"]})


def give(bench: Bench, path: str, uid: int) -> None:
    """Make what is at `path` the user's, as far as these tests may"""
    if os.geteuid() == 0:
        os.lchown(bench.tree / path, uid, uid)
    status = (bench.tree / path).lstat()
    bench.tree.owners[f"{status.st_dev}:{status.st_ino}"] = (uid, uid)


@pytest.mark.parametrize("owners", [(0, 0), (1000, 1000)])
def test_a_symlink_for_dot_ssh_is_followed_and_its_target_left_alone(
    bench: Bench, context: Make, owners: tuple[int, int]
) -> None:
    bench.tree.link("/home/debian/.ssh", "/srv/keys")
    bench.tree.folder("/srv/keys", mode=0o755)
    for path, owner in zip(("/home/debian/.ssh", "/srv/keys"), owners, strict=True):
        give(bench, path, owner)
    ssh_keys.run(context(ssh_keys.TASK, {**KEYS, "users": ["debian"]}))
    assert bench.tree.text("/srv/keys/authorized_keys") == f"{ONE}\n{TWO}\n"
    assert bench.tree.mode("/srv/keys") == 0o755


@pytest.mark.parametrize(
    ("link", "target", "file"),
    [
        ("/home/debian/.ssh", "/root/.ssh", "/root/.ssh/authorized_keys"),
        ("/home/debian/.ssh", "../../etc/profile.d", "/etc/profile.d/a.sh"),
        (FILE, "/etc/shadow", "/etc/shadow"),
        (FILE, "/etc/profile.d/new.sh", "/etc/profile.d/a.sh"),
    ],
)
def test_no_user_gets_by_a_symlink_what_is_not_theirs(
    bench: Bench, context: Make, link: str, target: str, file: str
) -> None:
    task = context(ssh_keys.TASK, {**KEYS, "users": ["debian"]})
    bench.tree.put(file, "root's")
    give(bench, file, 0)
    bench.tree.link(link, target)
    give(bench, link, 1000)
    before = bench.tree.files()
    with pytest.raises(TaskError, match="doesn't belong to debian"):
        ssh_keys.run(task)
    assert bench.tree.files() == before
    assert bench.tree.owner(file)[0] == 0


@pytest.mark.parametrize("path", [FILE, "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/a.conf", "/etc/passwd"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(ssh_keys.TASK, {**KEYS, "users": ["debian"]})
    traps.spring(trap, bench.tree, path, lambda: ssh_keys.run(task))


@pytest.mark.parametrize("path", ["/home/debian/.ssh", "/home/debian", "/home", "/etc/ssh/sshd_config.d", "/etc/ssh"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(ssh_keys.TASK, {**KEYS, "users": ["debian"]})
    traps.spring(trap, bench.tree, path, lambda: ssh_keys.run(task))


def test_an_include_circle_ends(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config\n")
    ssh_keys.run(context(ssh_keys.TASK, KEYS))
    assert (bench.tree / "/root/.ssh/authorized_keys").exists()
