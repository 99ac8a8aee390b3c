"""Tasks' options made from parameters, host keys among them"""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from helper_agent import tasks
from helper_agent.declaration import Task, check_options
from helper_host.ganeti import host_keys, passwords
from helper_host.ganeti.facts import Facts
from helper_host.ganeti.options import SETS, TaskOptions, task_options
from helper_host.ganeti.parameters import Parameters, parse_values

KEY = Parameters.rows["ssh_keys"].example
EVERYTHING = {
    "hostname": "web.example.org",
    "users": "root admin",
    "password": "canary",
    "root_password": "canary",
    "create_users": "yes",
    "lock_root": "no",
    "sudo": "admin",
    "ssh_keys": KEY,
    "ssh_password_login": "yes",
    "hosts": "192.0.2.7 db",
    "timezone": "Europe/Berlin",
    "locale": "de_DE.UTF-8",
    "make_locale": "yes",
    "keyboard": "de",
    "first_boot": "reboot",
    "dns_servers": "192.0.2.1",
    "dns_search": "example.org",
}


def declared() -> dict[str, Task]:
    """The agent's own tasks"""
    modules = (
        importlib.import_module(f"helper_agent.tasks.{info.name}") for info in pkgutil.iter_modules(tasks.__path__)
    )
    return {module.TASK.name: module.TASK for module in modules}


def made(given: Mapping[str, str], *without: str, action: str = "create", name: str = "localhost") -> TaskOptions:
    """The options of all tasks of an action, but for those `without`"""
    wanted = [task.name for task in declared().values() if action in task.actions and task.name not in without]
    return task_options(parse_values(given), wanted=wanted, instance=Facts(name))


@pytest.mark.parametrize("swap", ["file:64", "partition:64"])
@pytest.mark.parametrize("action", ["create", "rename"])
def test_the_agent_takes_every_option(swap: str, action: str) -> None:
    known = declared()
    for name, options in made({**EVERYTHING, "swap": swap}, action=action).options.items():
        check_options(known[name], options)
        assert action in known[name].actions


@pytest.mark.parametrize(
    "given",
    [{name: text} for name, text in {**EVERYTHING, "swap": "file:64"}.items()]
    + [{"swap": "partition:64"}, {"password_hash": "$6$saltsalt$" + "a" * 86}],
    ids=str,
)
def test_the_table_of_what_a_parameter_sets_is_whole(given: Mapping[str, str]) -> None:
    (name,) = given
    sets = {f"{task}.{option}" for task, options in made(given, "host-keys").options.items() for option in options}
    assert sets <= set(SETS[name])
    if name != "users":
        assert sets
    known = declared()
    for target in SETS[name]:
        task, _, option = target.rpartition(".")
        assert option in [each.name for each in known[task].options]


def test_password_and_keys() -> None:
    options = made(EVERYTHING).options
    assert [text[:3] for text in options["password"]["hashes"]] == ["$y$", "$6$"]
    assert options["ssh-keys"] == {"keys": [KEY]}
    assert options["hostname"] == {"name": "web.example.org"}
    assert options["network"] == {"dns_servers": ["192.0.2.1"], "dns_search": ["example.org"]}
    assert "canary" not in str(options)


def test_a_hash_is_passed_on() -> None:
    text = "$6$saltsalt$" + "a" * 86
    assert made({"password_hash": text}).options["password"]["hashes"] == [text]


def test_nothing_given_means_host_keys_only() -> None:
    options = made({}, name="web.example.org").options
    assert list(options) == ["host-keys"]
    assert all(line.endswith(" root@web") for line in options["host-keys"]["public_keys"])


def test_rename_makes_nothing_but_the_hostname() -> None:
    assert made(EVERYTHING, action="rename") == ({"hostname": {"name": "web.example.org"}}, ())
    assert made({}, action="rename").options == {}


def test_tasks_that_are_not_run_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_keys, "make", None)
    monkeypatch.setattr(passwords, "hashes", None)
    assert made({"password": "x"}, "host-keys", "password") == ({}, ())


def test_a_locale_is_made_before_it_is_set() -> None:
    assert made({"locale": "de_DE"}, "host-keys").options == {
        "locale": {"lang": "de_DE"},
        "make-locale": {"lang": "de_DE"},
    }
    both = {"locale": "de_DE", "make_locale": "yes"}
    assert made(both, "host-keys").options == {
        "locale": {"lang": "de_DE"},
        "make-locale": {"lang": "de_DE", "wanted": True},
    }
    assert made({"make_locale": "yes"}, "host-keys").options == {"make-locale": {"wanted": True}}


def test_a_swap_partition_has_one_uuid() -> None:
    options = made({"swap": "partition:64"}, "host-keys").options
    assert options["swap-partition"]["size_mib"] == 64
    assert options["swap-partition"]["uuid"] == options["swap"]["partition_uuid"]


def test_secrets_are_not_in_the_representation() -> None:
    found = made(EVERYTHING)
    assert "PRIVATE" not in repr(found)
    assert "$y$" not in repr(found)
    assert "PRIVATE" not in repr(host_keys.make("web"))


@pytest.mark.programs
@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is a second opinion")
def test_ssh_keygen_reads_the_host_keys(tmp_path: Path) -> None:
    for key in host_keys.make("web"):
        private, public = tmp_path / "key", tmp_path / "key.pub"
        private.unlink(missing_ok=True)
        private.touch(0o600)
        private.write_text(key.private)
        public.write_text(f"{key.public}\n")
        derived = subprocess.run(["ssh-keygen", "-y", "-f", private], capture_output=True, text=True, check=True)
        assert derived.stdout.split()[:2] == key.public.split()[:2]
        listed = subprocess.run(["ssh-keygen", "-l", "-f", public], capture_output=True, text=True, check=True).stdout
        _, fingerprint, comment, kind = listed.split()
        assert (f"{kind.strip('()')} {fingerprint}", comment) == (key.fingerprint, "root@web")
