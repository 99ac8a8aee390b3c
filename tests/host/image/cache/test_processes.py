"""Many deployments at once: one download, whoever of them dies"""

from __future__ import annotations

import functools
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from helper_host.errors import ProviderError
from helper_host.image.cache import following
from helper_host.image.cache.folder import Folder
from helper_host.image.cache.records import load_state
from helper_host.image.cache.verifying import verify
from tests.host.image.cache.server import Server
from tests.host.image.cache.using import MIB, Node, result, sha256, wait_for

pytestmark = pytest.mark.programs

IMAGE = os.urandom(6 * MIB + 123)
NAME = sha256(IMAGE)

KILLED_AT = """
import os, signal
count = 0
def counted(call):
    def wrapped(*args, **options):
        global count
        count += 1
        if count == {number} and not {after}:
            os.kill(os.getpid(), signal.SIGKILL)
        mine = count
        try:
            return call(*args, **options)
        finally:
            if mine == {number}:
                os.kill(os.getpid(), signal.SIGKILL)
    return wrapped
for name in ("rename", "fsync", "fchmod", "unlink", "link", "mkdir", "ftruncate", "utime"):
    setattr(os, name, counted(getattr(os, name)))
"""


@pytest.fixture(autouse=True)
def _image(server: Server) -> None:
    server.files["/image"] = IMAGE


def leader_of(node: Node) -> int:
    """The process that fetches the only URL"""
    (path,) = (node.folder / "parts").glob("*.state")
    state = load_state(Folder(str(node.folder)), path.name.partition(".")[0])
    assert state is not None
    return state.pid


def is_other(node: Node, leader: int) -> bool:
    """Whether somebody else fetches it now"""
    return leader_of(node) != leader


def started(server: Server, node: Node, count: int) -> list[subprocess.Popen[str]]:
    """Processes that have all read something, and wait for more"""
    server.hold_at = 3 * MIB
    processes = [node.start(server.url()) for _ in range(count)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("open")
        assert process.stdout.readline() == "begun\n"
    return processes


def test_sixteen_at_once_with_a_cold_cache(server: Server, node: Node) -> None:
    server.rate = 10 * MIB
    processes = [node.start(server.url(), whole=number % 4 == 0) for number in range(16)]
    found = [result(process) for process in processes]
    assert all(each["sha256"] == NAME and not each["warnings"] for each in found)
    assert len(server.asked) == 1, server.asked
    assert server.sent == len(IMAGE)
    assert node.objects() == [NAME]
    assert node.parts() == []
    assert not [name for name in node.names("parts") if name.endswith(".lock")]


def test_eight_at_once_with_a_warm_cache_ask_once_or_so(server: Server, node: Node) -> None:
    node.get(server.url())
    processes = [node.start(server.url()) for _ in range(8)]
    assert all(result(process)["at_hand"] for process in processes)
    assert [each.status for each in server.gets()] == [200]
    assert all(each.status == 304 for each in server.asked[1:])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("validators", [True, False])
def test_who_fetches_is_killed_while_others_wait(
    server: Server, node: Node, number: signal.Signals, validators: bool
) -> None:
    server.validators = validators
    processes = started(server, node, 4)
    leader = leader_of(node)
    (victim,) = (process for process in processes if process.pid == leader)
    victim.send_signal(number)
    victim.wait()
    server.go.set()
    others = [process for process in processes if process is not victim]
    assert all(result(process)["sha256"] == NAME for process in others)
    first, second = server.gets()
    assert first.start == 0
    assert (second.start > 0) is validators, "resumed where it can be"
    assert node.objects() == [NAME] and node.parts() == []


def test_everybody_is_killed_one_after_the_other(server: Server, node: Node) -> None:
    processes = started(server, node, 4)
    server.rate = 4 * MIB
    while len(processes) > 1:
        leader = leader_of(node)
        victim = next(process for process in processes if process.pid == leader)
        processes.remove(victim)
        victim.kill()
        server.go.set()
        wait_for(functools.partial(is_other, node, leader))
    assert result(processes[0])["sha256"] == NAME
    assert node.objects() == [NAME] and node.parts() == []


def test_who_fetches_fails_and_others_go_on(server: Server, node: Node) -> None:
    """Its deployment does, that is, as for a disk that is too small"""
    server.hold_at = 3 * MIB
    first = node.start(server.url(), stop_after=MIB)
    assert first.stdout is not None and first.stdout.readline().startswith("open")
    others = [node.start(server.url()) for _ in range(3)]
    server.go.set()
    assert all(result(process)["sha256"] == NAME for process in others)
    first.communicate()
    assert first.returncode == 1


def test_a_server_that_is_gone_is_gone_for_all(server: Server, node: Node) -> None:
    server.files.clear()
    since = time.monotonic()
    processes = [node.start(server.url()) for _ in range(4)]
    assert all("404" in result(process)["error"] for process in processes)
    assert time.monotonic() - since < 10
    assert node.parts() == [] and node.objects() == []


def test_another_file_on_the_server_when_it_is_taken_over(server: Server, node: Node) -> None:
    processes = started(server, node, 3)
    leader = leader_of(node)
    (victim,) = (process for process in processes if process.pid == leader)
    victim.kill()
    victim.wait()
    server.files["/image"] = newer = os.urandom(5 * MIB)
    server.go.set()
    for process in processes:
        if process is not victim:
            assert "E-IMAGE-FETCH" in result(process)["error"]
    assert node.get(server.url()).data == newer
    assert result(node.start(server.url()))["sha256"] == sha256(newer)


def test_another_file_is_no_matter_where_only_the_same_head_was_looked_at(server: Server, node: Node) -> None:
    server.hold_at = 3 * MIB
    victim = node.start(server.url())
    assert victim.stdout is not None and victim.stdout.readline().startswith("open")
    with node.open(server.url()) as content:
        head = content.peek(5000)
        victim.kill()
        victim.wait()
        server.files["/image"] = newer = IMAGE[:MIB] + os.urandom(4 * MIB)
        server.hold_at = -1
        server.go.set()
        fd = content.whole(lambda done, total: None, threading.Event())
        assert os.pread(fd, 10 * MIB, 0) == newer
        assert newer[:5000] == head


def test_another_head_is_refused(server: Server, node: Node) -> None:
    server.hold_at = 3 * MIB
    victim = node.start(server.url())
    assert victim.stdout is not None and victim.stdout.readline().startswith("open")
    with node.open(server.url()) as content:
        content.peek(5000)
        victim.kill()
        victim.wait()
        server.files["/image"] = os.urandom(4 * MIB)
        server.hold_at = -1
        server.go.set()
        with pytest.raises(ProviderError, match=r"E-IMAGE-FETCH: .* was replaced"):
            content.whole(lambda done, total: None, threading.Event())


@pytest.mark.parametrize("held", [0, 3 * MIB])
def test_one_who_hangs_doesnt_hold_up_the_others(
    server: Server, node: Node, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(following, "STUCK_SECONDS", 0.5)
    server.hold_at = held
    stopped = node.start(server.url())
    assert stopped.stdout is not None and stopped.stdout.readline().startswith("open")
    stopped.send_signal(signal.SIGSTOP)
    server.hold_at = -1
    server.go.set()
    assert node.get(server.url()).data == IMAGE
    assert any("hangs" in text for text in node.warnings)
    stopped.send_signal(signal.SIGCONT)
    assert result(stopped)["sha256"] == NAME


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 21))
def test_killed_at_each_step(server: Server, node: Node, number: int, after: bool) -> None:
    """Whatever was done last, the next one gets the right bytes, and nothing of the other is left"""
    process = node.start(server.url(), prelude=KILLED_AT.format(number=number, after=after))
    process.communicate(timeout=20)
    assert process.returncode in (-signal.SIGKILL, 0)
    assert verify(str(node.folder)).damaged == []
    assert node.get(server.url()).data == IMAGE
    assert node.objects() == [NAME]
    assert node.parts() == []
    assert sum(1 for each in server.gets() if each.start == 0) <= 2
    if process.returncode == 0:
        assert number > 12, "there are fewer steps than are tested"


def test_killed_at_random(server: Server, node: Node) -> None:
    """For some seconds, anybody at any time; then everything is in order"""
    server.rate = 8 * MIB
    chance = random.Random(4)
    deadline = time.monotonic() + 6
    running: list[subprocess.Popen[str]] = []
    while time.monotonic() < deadline:
        if len(running) < 4:
            running.append(node.start(server.url(), whole=chance.random() < 0.3))
        time.sleep(chance.uniform(0, 0.2))
        if chance.random() < 0.5:
            victim = running.pop(chance.randrange(len(running)))
            victim.kill()
            victim.wait()
        if chance.random() < 0.05:
            for path in (node.folder / "objects").glob("*"):
                path.unlink(missing_ok=True)
    assert all(result(process)["sha256"] == NAME for process in running)
    found = verify(str(node.folder))
    assert found.damaged == []
    assert node.get(server.url()).data == IMAGE
    assert node.objects() == [NAME]
    assert node.parts() == []
