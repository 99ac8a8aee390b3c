from __future__ import annotations

import contextlib

import pytest

from helper_agent.api import Skip, TaskError
from helper_agent.tasks import host_keys
from helper_kit import traps
from tests.helper.distros import trees
from tests.helper.support import Bench
from tests.helper.tasks.conftest import Make

PUBLIC = {"ed25519": "ssh-ed25519 AAAA1 web1", "ecdsa": "ecdsa-sha2-nistp256 AAAA2 web1", "rsa": "ssh-rsa AAAA3 web1"}
PRIVATE = {kind: f"-----BEGIN OPENSSH PRIVATE KEY-----\n{kind}\n-----END OPENSSH PRIVATE KEY-----\n" for kind in PUBLIC}
KEYS = {"private_keys": list(PRIVATE.values()), "public_keys": list(PUBLIC.values())}


def installed(bench: Bench) -> set[str]:
    return {path for path in bench.tree.files() if path.startswith("/etc/ssh/") and "_key" in path}


def test_all_replaced(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/ssh/ssh_host_dsa_key", "old")
    bench.tree.put("/etc/ssh/ssh_host_rsa_key-cert.pub", "old")
    host_keys.run(context(host_keys.TASK, KEYS))
    for kind, line in PUBLIC.items():
        path = f"/etc/ssh/ssh_host_{kind}_key"
        assert bench.tree.text(path) == PRIVATE[kind]
        assert (bench.tree.mode(path), bench.tree.owner(path)) == (0o600, (0, 0))
        assert bench.tree.text(f"{path}.pub") == f"{line}\n"
        assert bench.tree.mode(f"{path}.pub") == 0o644
    assert len(installed(bench)) == 6


def test_hostkey_lines_say_where(bench: Bench, context: Make) -> None:
    lines = "HostKey /etc/keys/my_rsa\nHostKey /etc/ssh/ssh_host_ed25519_key\n"
    bench.tree.put("/etc/ssh/sshd_config", lines + trees.SSHD_CONFIG)
    bench.tree.put("/etc/keys/my_rsa", "old")
    host_keys.run(context(host_keys.TASK, KEYS))
    assert bench.tree.text("/etc/keys/my_rsa") == PRIVATE["rsa"]
    assert installed(bench) == {"/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"}


def test_hostkey_lines_of_other_kinds_only(bench: Bench, context: Make) -> None:
    bench.tree.put("/etc/ssh/sshd_config", "HostKey /etc/ssh/ssh_host_dsa_key\n")
    with pytest.raises(TaskError, match="HostKey"):
        host_keys.run(context(host_keys.TASK, KEYS))


def test_no_openssh(bench: Bench, context: Make) -> None:
    (bench.tree / "/usr/sbin/sshd").unlink()
    (bench.tree / "/etc/ssh/sshd_config").unlink()
    with pytest.raises(Skip):
        host_keys.run(context(host_keys.TASK, KEYS))


def test_nothing_given(context: Make) -> None:
    with pytest.raises(Skip):
        host_keys.run(context(host_keys.TASK))


@pytest.mark.parametrize("public", [[], ["ssh-rsa AAAA"], ["ssh-dss AAAA"] * 3])
def test_keys_that_do_not_fit(bench: Bench, context: Make, public: list[str]) -> None:
    with pytest.raises(TaskError) as caught:
        host_keys.run(context(host_keys.TASK, {**KEYS, "public_keys": public}))
    assert caught.value.code == "E-OPTION"
    assert bench.tree.text("/etc/ssh/ssh_host_rsa_key") == "old\n"


@pytest.mark.parametrize("name", ["ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_host_dsa_key"])
@pytest.mark.parametrize("trap", traps.ALL, ids=str)
def test_trapped(bench: Bench, context: Make, trap: traps.Trap, name: str) -> None:
    task = context(host_keys.TASK, KEYS)
    with traps.laid(trap, bench.tree, f"/etc/ssh/{name}", replaces=True), contextlib.suppress(TaskError):
        host_keys.run(task)


@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
def test_trapped_on_the_way(bench: Bench, context: Make, trap: traps.Trap) -> None:
    task = context(host_keys.TASK, KEYS)
    traps.spring(trap, bench.tree, "/etc/ssh", lambda: host_keys.run(task))
