"""What is removed from an image, and what is not"""

from __future__ import annotations

import os
import time

import pytest

from helper_agent.api import Context, TaskError
from helper_agent.tasks import cleanup
from helper_kit import traps, trees
from tests.helper.distros import trees as debian
from tests.helper.support import Bench

SHARED: dict[str, str | bytes] = {
    "/var/lib/systemd/random-seed": b"\1" * 32,
    "/var/lib/seedrng/seed.credit": b"\1" * 32,
    "/boot/efi/loader/random-seed": b"\1" * 32,
    "/var/lib/dhcp/dhclient.enp1s0.leases": "lease {}\n",
    "/var/lib/dhclient/dhclient--eth0.lease": "lease {}\n",
    "/var/lib/NetworkManager/internal-3f2b-eth0.lease": "x",
    "/var/lib/NetworkManager/secret_key": "x",
    "/var/lib/wicked/duid.xml": "x",
    "/etc/udev/rules.d/70-persistent-net.rules": 'SUBSYSTEM=="net", NAME="eth0"\n',
    "/etc/nvme/hostnqn": "nqn.2014-08.org.nvmexpress:uuid:x\n",
}
KEPT = {
    "/var/lib/NetworkManager/NetworkManager.state": "[main]\n",
    "/var/lib/dhcp/README": "x",
    "/etc/udev/rules.d/80-mine.rules": "x",
    "/etc/ssh/ssh_host_ed25519_key.pub": "x",
}
LOGS = {
    "/var/log/syslog": "old\n",
    "/var/log/syslog.1": "old\n",
    "/var/log/messages-20240101": "old\n",
    "/var/log/apt/term.log.2.gz": "old\n",
    "/var/log/journal/0123456789abcdef0123456789abcdef/system.journal": "old\n",
    "/root/.bash_history": "secret\n",
    "/home/debian/.python_history": "secret\n",
    "/tmp/x/y": "x",
    "/tmp/.X11-unix/X0": "x",
    "/var/cache/apt/archives/a_1_all.deb": "x",
}


def clean(bench: Bench, level: str = "") -> Context:
    context = bench.context(cleanup.TASK, {"level": level} if level else {}, distro=debian.distro(bench.tree))
    cleanup.run(context)
    return context


def put(bench: Bench) -> None:
    debian.debian12(bench.tree)
    for path, content in {**SHARED, **KEPT, **LOGS}.items():
        bench.tree.put(path, content)


def test_auto(bench: Bench) -> None:
    put(bench)
    for _ in range(2):
        clean(bench)
        names = set(bench.tree.names())
        assert not names & {*SHARED}
        assert {*KEPT, *LOGS} <= names
    assert bench.log.of("info") == [f"{len(SHARED)} names removed or emptied"]


def test_no(bench: Bench) -> None:
    put(bench)
    before = bench.tree.files()
    clean(bench, "no")
    assert bench.tree.files() == before


def test_full(bench: Bench) -> None:
    put(bench)
    (bench.tree / "/var/log/syslog").chmod(0o640)
    for _ in range(2):
        clean(bench, "full")
        names = set(bench.tree.names())
        assert not names & {*SHARED}
        assert {*KEPT} <= names
        assert names & {*LOGS} == {"/var/log/syslog"}
        assert bench.tree.text("/var/log/syslog") == ""
        assert bench.tree.mode("/var/log/syslog") == 0o640
        assert {"/tmp", "/var/log", "/var/log/journal", "/var/log/apt"} <= names
    assert bench.log.of("warning") == []


def test_another_level(bench: Bench) -> None:
    with pytest.raises(TaskError, match="'all' is no level"):
        clean(bench, "all")


def test_iscsi_on_debian(bench: Bench) -> None:
    debian.debian12(bench.tree).put(cleanup.ISCSI, "InitiatorName=iqn.1993-08.org.debian:01:abc\n", mode=0o600)
    clean(bench)
    assert bench.tree.text(cleanup.ISCSI) == "GenerateName=yes\n"
    assert bench.tree.mode(cleanup.ISCSI) == 0o600


def test_iscsi_where_a_service_makes_it(bench: Bench) -> None:
    debian.debian12(bench.tree).put(cleanup.ISCSI, "InitiatorName=iqn.1994-05.com.redhat:abc\n")
    bench.tree.put(cleanup.ISCSI_INIT, "[Unit]\n")
    clean(bench)
    assert not (bench.tree / cleanup.ISCSI).exists()


@pytest.mark.parametrize("name", trees.NAMES)
def test_with_nothing_there_it_takes_no_time(bench: Bench, name: str) -> None:
    trees.build(bench.tree, name)
    before = bench.tree.files()
    clean(bench)
    since = time.process_time()
    for _ in range(10):
        clean(bench)
    # ten times as much in an emulated guest
    assert (time.process_time() - since) / 10 < 0.002
    assert bench.tree.files() == before
    assert bench.log.of("info") == []


PATHS = (
    "/var/lib/systemd/random-seed",
    "/var/lib/dhcp/a.leases",
    cleanup.ISCSI,
    "/var/log/syslog",
    "/tmp/x",
    "/root/.bash_history",
)


@pytest.mark.parametrize("trap", traps.ALL, ids=str)
@pytest.mark.parametrize("path", PATHS)
def test_trapped(bench: Bench, trap: traps.Trap, path: str) -> None:
    debian.debian12(bench.tree)
    with traps.laid(trap, bench.tree, path, replaces=trap.name not in ("immutable", "append-only")):
        clean(bench, "full")


@pytest.mark.parametrize("trap", traps.FOLDERS, ids=str)
@pytest.mark.parametrize("path", ["/var/log", "/var/lib/dhcp", "/tmp", "/var/log/journal"])
def test_trapped_on_the_way(bench: Bench, trap: traps.Trap, path: str) -> None:
    debian.debian12(bench.tree)
    with traps.laid(trap, bench.tree, path, replaces=True):
        clean(bench, "full")


def test_a_symlink_leads_to_nothing_outside(bench: Bench) -> None:
    put(bench)
    os.symlink("/etc", bench.tree / "/tmp/etc")
    clean(bench, "full")
    assert (bench.tree / "/etc/passwd").exists()
