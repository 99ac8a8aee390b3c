from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from helper_agent.api import Skip, TaskError
from helper_agent.distros import sshd
from helper_agent.tasks import ssh_login
from helper_kit import traps
from tests.helper.support import Bench
from tests.helper.tasks.conftest import SYSTEMS, Make, System

CONFIG = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/00-instance-helper.conf"
CLOUD = "/etc/ssh/sshd_config.d/50-cloud-init.conf"
NO, YES = {"passwords": "no"}, {"passwords": "yes"}
ROOTS = {"passwords": "yes", "users_have_one": True}


def told(bench: Bench, config: str = CONFIG) -> dict[str, str]:
    """What the real sshd says that it would do, from a copy with paths of this machine"""
    folder = bench.tree.path.parent / "sshd"
    folder.mkdir(exist_ok=True)
    key = folder / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    here = f"{bench.tree.path}/etc/ssh/"
    config = config if (bench.tree / config).exists() else f"/usr{config}"
    for path in (*(bench.tree / "/etc/ssh").rglob("*"), bench.tree / config):
        if path.is_file() and ("sshd_config" in str(path)):
            path.write_text(re.sub('Include "?/etc/ssh/([^"\n]*)"?', rf"Include {here}\1", path.read_text()))
    argv = ["/usr/sbin/sshd", "-T", "-h", str(key), "-f", str(bench.tree / config)]
    Path("/run/sshd").mkdir(exist_ok=True)
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pairs = (line.partition(" ") for line in done.stdout.splitlines())
    return {keyword: value for keyword, _, value in pairs}


@pytest.mark.root
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("passwords", ["yes", "no"])
def test_the_real_sshd_obeys(bench: Bench, system: System, name: str, passwords: str) -> None:
    """Also where the image says the opposite, as images with cloud-init do"""
    context = system(name)
    bench.tree.put(CLOUD, f"PasswordAuthentication {'no' if passwords == 'yes' else 'yes'}\n", mode=0o600)
    for _ in range(2):
        ssh_login.run(context(ssh_login.TASK, {**ROOTS, "passwords": passwords}))
    said = told(bench)
    assert said["passwordauthentication"] == passwords
    assert said["permitrootlogin"] in (("yes",) if passwords == "yes" else ("without-password", "no"))
    if passwords == "no":
        assert said["kbdinteractiveauthentication"] == "no"


def test_nixos_says_where_to_do_it(system: System) -> None:
    with pytest.raises(TaskError, match="is not to be written") as caught:
        ssh_login.run(system("nixos")(ssh_login.TASK, NO))
    assert "set it there" in caught.value.remedy


def test_a_package_that_has_the_file_below_usr(bench: Bench, system: System) -> None:
    context = system("flatcar")
    before = bench.tree.text("/usr/share/ssh/sshd_config")
    ssh_login.run(context(ssh_login.TASK, NO))
    assert bench.tree.text("/usr/share/ssh/sshd_config") == before
    assert not (bench.tree / CONFIG).is_symlink()
    assert bench.tree.text(CONFIG).startswith(before)


@pytest.mark.root
def test_a_file_that_comes_before_ours(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/ssh/sshd_config.d/00-first.conf", "passwordauthentication=no\n")
    ssh_login.run(context(ssh_login.TASK, YES))
    assert told(bench)["passwordauthentication"] == "yes"
    assert bench.tree.text("/etc/ssh/sshd_config.d/00-first.conf") == "passwordauthentication=yes\n"


@pytest.mark.root
def test_a_main_file_that_says_so_before_it_includes(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, NO)
    text = "PasswordAuthentication yes\n" + bench.tree.text(CONFIG)
    bench.tree.put(CONFIG, text)
    ssh_login.run(task)
    assert bench.tree.text(CONFIG) == text.replace("PasswordAuthentication yes\n", "PasswordAuthentication no\n", 1)
    assert told(bench)["passwordauthentication"] == "no"


@pytest.mark.root
def test_an_old_sshd_without_include(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, NO)
    bench.tree.put(
        CONFIG,
        "#PasswordAuthentication yes\nChallengeResponseAuthentication yes\n"
        "Match User git\n PasswordAuthentication yes\n",
        mode=0o600,
    )
    for _ in range(2):
        ssh_login.run(task)
    assert not (bench.tree / DROP_IN).exists()
    said = told(bench)
    assert (said["passwordauthentication"], said["kbdinteractiveauthentication"]) == ("no", "no")
    assert bench.tree.mode(CONFIG) == 0o600
    assert "exception of its own, which stays: match User git" in bench.log.of("warning")[0].replace("Match", "match")


def test_root_may_only_where_this_run_gives_a_password(bench: Bench, context: Make) -> None:
    for options, root in (
        (YES, False),
        (ROOTS, True),
        ({**ROOTS, "users": ["debian"]}, False),
        ({**ROOTS, "users": ["debian", "root"]}, True),
        ({**YES, "root_has_one": True, "users": ["debian"]}, True),
        ({**ROOTS, "passwords": "no"}, False),
    ):
        ssh_login.run(context(ssh_login.TASK, options))
        assert ("PermitRootLogin yes\n" in bench.tree.text(DROP_IN)) is root, options
    assert bench.tree.mode(DROP_IN) == 0o600


def test_cloud_init_is_told(bench: Bench, system: System) -> None:
    context = system("ubuntu")
    ssh_login.run(context(ssh_login.TASK, NO))
    assert "ssh_pwauth: false" in bench.tree.text("/etc/cloud/cloud.cfg.d/99-instance-helper-ssh-login.cfg")


def test_a_warning_when_nobody_can_log_in(bench: Bench, context: Make) -> None:
    ssh_login.run(context(ssh_login.TASK, NO))
    assert bench.log.of("warning")[0].startswith("Nobody can log in by ssh")
    bench.log.lines.clear()
    bench.tree.put("/home/debian/.ssh/authorized_keys", "ssh-ed25519 AAAA\n")
    ssh_login.run(context(ssh_login.TASK, NO))
    assert bench.log.of("warning") == []


def test_a_warning_when_sshd_wants_something_else(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, YES)
    bench.tree.put(CONFIG, "AuthenticationMethods publickey\n" + bench.tree.text(CONFIG))
    ssh_login.run(task)
    assert "AuthenticationMethods publickey" in bench.log.of("warning")[0]


def test_no_sshd(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, NO)
    (bench.tree / CONFIG).unlink()
    with pytest.raises(Skip):
        ssh_login.run(task)


def test_neither_yes_nor_no(context: Make) -> None:
    with pytest.raises(TaskError) as caught:
        ssh_login.run(context(ssh_login.TASK, {"passwords": "maybe"}))
    assert caught.value.code == "E-OPTION"


@pytest.mark.parametrize("path", [CONFIG, DROP_IN, CLOUD, "/etc/passwd", "/root/.ssh/authorized_keys"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(ssh_login.TASK, NO)
    traps.spring(trap, bench.tree, path, lambda: ssh_login.run(task))


@pytest.mark.parametrize("path", ["/etc/ssh", "/etc/ssh/sshd_config.d", "/etc"])
@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap, path: str) -> None:
    task = context(ssh_login.TASK, NO)
    traps.spring(trap, bench.tree, path, lambda: ssh_login.run(task))


@pytest.mark.parametrize(
    ("main", "included"),
    [
        ("Include {folder}/a\n", "Match all\nPasswordAuthentication yes\n"),
        ("Match all\nInclude {folder}/a\n", "PasswordAuthentication yes\n"),
        ("Match all\nPasswordAuthentication = yes\n", ""),
        ('Match all\n"KbdInteractiveAuthentication" yes\n', ""),
    ],
)
def test_an_exception_is_told_of_wherever_it_is(bench: Bench, context: Make, main: str, included: str) -> None:
    task = context(ssh_login.TASK, NO)
    bench.tree.put(CONFIG, main.format(folder="/etc/ssh/own"))
    bench.tree.put("/etc/ssh/own/a", included)
    ssh_login.run(task)
    assert "exception of its own, which stays: Match all" in bench.log.of("warning")[0]


def test_a_match_line_that_says_the_same_is_no_exception(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, NO)
    bench.tree.put(CONFIG, "Match User git\n PasswordAuthentication no\n")
    ssh_login.run(task)
    assert not any("exception" in line for line in bench.log.of("warning"))


@pytest.mark.root
def test_a_line_with_blanks_around_its_sign(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, NO)
    bench.tree.put(CONFIG, "PasswordAuthentication\t= yes\nInclude /etc/ssh/sshd_config.d/*.conf\n")
    ssh_login.run(task)
    assert told(bench)["passwordauthentication"] == "no"


def test_a_line_that_counts_and_cannot_be_changed_is_an_error(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, NO)
    bench.tree.put(CONFIG, '"PasswordAuthentication" yes\nInclude /etc/ssh/sshd_config.d/*.conf\n')
    with pytest.raises(TaskError, match="says otherwise about PasswordAuthentication"):
        ssh_login.run(task)


def test_files_that_include_each_other_for_ever(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, NO)
    bench.tree.put(CONFIG, "Include /etc/ssh/sshd_config\n" * 4)
    with pytest.raises(TaskError, match="includes more than"):
        ssh_login.run(task)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/etc/keys#1/%u # where", ["/etc/keys#1/%u"]),
        ('"a b" c', ["a b", "c"]),
        ("'a \"b' \"it's\"", ['a "b', "it's"]),
        (r"a\ b \"c\" \d", ["a b", '"c"', r"\d"]),
        (r'"a\ b"', [r"a\ b"]),
        ('a "b', ["a", '"b']),
        ('"" x', ["", "x"]),
        ('a"b c"d', ["ab cd"]),
        ("# a", []),
    ],
)
def test_arguments_as_sshd_has_them(text: str, words: list[str]) -> None:
    assert sshd._words(f"Key {text}") == ["Key", *words]


def test_long_arguments_take_no_time() -> None:
    since = time.process_time()
    assert sshd._words('Key "' + "a" * 1_000_000 + '"') == ["Key", "a" * 1_000_000]
    assert len(sshd._words("Key " + '"a"' * 300_000)[1]) == 300_000
    assert time.process_time() - since < 2


def test_what_is_included_has_an_end(bench: Bench, context: Make) -> None:
    task = context(ssh_login.TASK, NO)
    bench.tree.put("/etc/ssh/more", "a b\n" * 100_000)
    bench.tree.put(CONFIG, "Include /etc/ssh/more\n" * 3)
    with pytest.raises(TaskError, match="includes more than"):
        ssh_login.run(task)
