"""Capsules keep the machine as it was, and sweeping ends what a killed run left"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm import capsule
from tests.vm.capsule import Capsule, Plan, Process

OWNER = """
import sys, time
sys.path[:0] = {path!r}
from tests.vm import capsule
capsule.Capsule.start(capsule.Plan("killed", "node.test", {{}}))
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture
def started(swept: None) -> Iterator[Capsule]:
    """A capsule"""
    running = Capsule.start(Plan("try", "node.test", {"node.test": "10.0.0.1"}))
    yield running
    running.destroy()


@pytest.mark.root
def test_what_is_written_stays_inside(started: Capsule) -> None:
    before = Path("/etc/hosts").read_bytes()
    started.run(["sh", "-c", "echo inside >/etc/hosts; echo inside >/usr/share/capsule-was-here; rm -r /var/lib/dpkg"])
    assert Path("/etc/hosts").read_bytes() == before
    assert not Path("/usr/share/capsule-was-here").exists()
    assert Path("/var/lib/dpkg/status").exists()
    assert started.path("/usr/share/capsule-was-here").read_text() == "inside\n"


@pytest.mark.root
def test_it_has_a_network_and_a_name_of_its_own(started: Capsule) -> None:
    assert started.run(["hostname"]).text == "node.test\n"
    assert started.run(["ls", "/sys/class/net"]).text.split() == ["lo"]
    assert started.run(["getent", "hosts", "node.test"]).text.split()[0] == "10.0.0.1"


@pytest.mark.root
def test_its_end_is_the_end_of_its_daemons(started: Capsule) -> None:
    started.run(["sh", "-c", "setsid sleep 4711 >/dev/null 2>&1 & exit 0"])
    assert sleeping("4711")
    started.destroy()
    assert not sleeping("4711")
    assert not started.folder.exists()


@pytest.mark.root
def test_what_a_killed_owner_left_is_swept(swept: None) -> None:
    source = OWNER.format(path=[path for path in sys.path if path])
    owner = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"started\n"
    init = capsule.process(capsule.CAPSULES / "killed", "init")
    assert init is not None
    assert "killed" not in list(capsule.sweep())
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert "killed" in list(capsule.sweep())
    assert not init.alive()
    assert not (capsule.CAPSULES / "killed").exists()


@pytest.mark.root
def test_a_kept_one_is_only_swept_on_request(started: Capsule) -> None:
    started.keep()
    capsule.record(started.folder, owner=Process(1, "never", "another boot"))
    assert "try" not in list(capsule.sweep())
    assert "try" in list(capsule.sweep(kept=True))


def test_a_reused_process_number_is_not_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capsule, "CAPSULES", tmp_path)
    folder = tmp_path / "stale"
    folder.mkdir()
    me = Process.of(os.getpid())
    capsule.record(folder, owner=me._replace(start="1"), init=me._replace(start="1"), outer=me._replace(boot="x"))
    assert list(capsule.sweep()) == ["stale"]
    assert not folder.exists()


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"init": 5, "owner": "x"})])
def test_a_broken_record_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(capsule, "CAPSULES", tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "state.json").write_text(text)
    assert list(capsule.sweep()) == ["broken"]


def sleeping(argument: str) -> bool:
    """Whether a `sleep` with this argument runs anywhere on the machine, waiting a moment for its start"""
    for _ in range(10):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if (folder / "cmdline").read_bytes() == f"sleep\0{argument}\0".encode():
                    return True
            except OSError:
                continue
        time.sleep(0.05)
    return False
