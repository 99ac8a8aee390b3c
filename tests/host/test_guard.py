"""The guard: acts exactly when its owner dies without a last word"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

OWNER = """
import os, sys, time
sys.path[:0] = {path!r}
from helper_host.guard import Guard
def wipe():
    open({mark!r}, "w").write(str(os.path.exists("/proc/{vm}")))
with Guard(wipe) as guard:
    guard.{watch}({vm})
    if {armed}:
        guard.arm()
    if {disarmed}:
        guard.disarm()
    print("ready", flush=True)
    sys.stdin.readline()
"""


def owner(mark: Path, vm: int, *, armed: bool, disarmed: bool = False, watch: str = "watch") -> subprocess.Popen[str]:
    """A process with a guard; it ends well when its stdin ends"""
    script = OWNER.format(path=sys.path, mark=str(mark), vm=vm, armed=armed, disarmed=disarmed, watch=watch)
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def vm() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


def gone(process: subprocess.Popen[Any], seconds: float = 5.0) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def appears(path: Path, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.read_text():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_owner_ends_the_vm_and_then_wipes(tmp_path: Path, vm: subprocess.Popen[bytes], number: int) -> None:
    process = owner(tmp_path / "wiped", vm.pid, armed=True)
    os.kill(process.pid, number)
    process.wait()
    assert gone(vm)
    assert appears(tmp_path / "wiped")


@pytest.mark.parametrize(("armed", "disarmed"), [(False, False), (True, True)])
def test_nothing_to_wipe(tmp_path: Path, vm: subprocess.Popen[bytes], armed: bool, disarmed: bool) -> None:
    process = owner(tmp_path / "wiped", vm.pid, armed=armed, disarmed=disarmed)
    process.kill()
    process.wait()
    assert gone(vm)
    assert not appears(tmp_path / "wiped", 0.3)


@pytest.mark.parametrize("disarmed", [True, False])
def test_an_owner_that_lives_has_the_last_word(tmp_path: Path, vm: subprocess.Popen[bytes], disarmed: bool) -> None:
    process = owner(tmp_path / "wiped", vm.pid, armed=True, disarmed=disarmed)
    process.communicate("\n")
    assert process.returncode == 0
    assert (tmp_path / "wiped").exists() is not disarmed, "whoever leaves without a word has failed"
    assert gone(vm), "a VM that outlives its run is ended all the same"


def test_a_dead_owner_ends_a_whole_group(tmp_path: Path) -> None:
    script = "sleep 60 & echo $!; exec sleep 60"
    leader = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True, text=True)
    assert leader.stdout is not None
    member = os.pidfd_open(int(leader.stdout.readline()))
    process = owner(tmp_path / "wiped", leader.pid, armed=True, watch="watch_group")
    process.kill()
    process.wait()
    assert gone(leader)
    poll = select.poll()
    poll.register(member, select.POLLIN)
    assert poll.poll(5000), "it was not the leader"
    os.close(member)
    assert appears(tmp_path / "wiped")
