"""The administrator's monitor: real programs, those that behave and those that don't"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from helper_host import trusted
from helper_host.log import Log
from helper_host.monitor import Monitor
from helper_host.progress import program
from helper_host.progress.base import Outcome
from helper_host.progress.program import Program
from tests.host.deploying import wait_for

pytestmark = pytest.mark.programs

MIB = 1 << 20


class Bench:
    """A monitor program in a folder, and what it is told"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stream = io.StringIO()
        self.log = Log(stream=self.stream)
        self.monitor = Monitor(self.log)

    def start(self, script: str) -> Program:
        path = self.folder / "monitor"
        path.write_text(f"#!/bin/sh\ncd {self.folder}\n{script}\n")
        path.chmod(0o755)
        sink = Program(str(path), "web.example.org", self.log)
        self.monitor.add(sink)
        return sink

    def tell(self, events: int = 1) -> float:
        """A deployment in small; the longest time that a word took"""
        longest = 0.0
        for number in range(events):
            began = time.monotonic()
            self.monitor.guest_start(f"task-{number}")
            self.monitor.guest_span(f"task-{number}", 1.0, 2.0, "")
            longest = max(longest, time.monotonic() - began)
        return longest

    def close(self, outcome: Outcome | None = None) -> float:
        began = time.monotonic()
        self.monitor.close(outcome)
        return time.monotonic() - began

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "told").read_text().splitlines()]

    def pid(self, name: str = "pid") -> int:
        assert wait_for(lambda: (self.folder / name).exists() and (self.folder / name).read_text().strip())
        return int((self.folder / name).read_text())


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    tmp_path.chmod(0o755)
    return Bench(tmp_path)


# --- those that behave ------------------------------------------------------------------------------------------------


def test_what_a_deployment_tells(bench: Bench) -> None:
    bench.start('cat >told; echo "$#:$1" >name; env >env; pwd >pwd')
    monitor = bench.monitor
    monitor.start("write image")
    monitor.progress("writing image", 0, 10 * MIB)
    monitor.progress("writing image", 10 * MIB, 10 * MIB)
    monitor.end("write image")
    monitor.guest_start("hostname")
    monitor.guest_notice("hostname: no /etc")
    monitor.guest_span("hostname", 1.0, 2.0, "")
    monitor.guest_start("password")
    monitor.guest_span("password", 2.0, 3.0, "failed: no user")
    assert bench.close(Outcome("E-USER: There is none; name another", in_helper=True)) < 1
    told = bench.told()
    assert [(each["type"], each.get("subtype", each.get("messages", each.get("position")))) for each in told] == [
        ("image-info", ["Starting image copy..."]),
        ("image-copy-progress", 0),
        ("image-copy-progress", 10 * MIB),
        ("image-info", ["Image copy finished."]),
        ("image-helper", "task-start"),
        ("image-helper", "warning"),
        ("image-helper", "task-end"),
        ("image-helper", "task-start"),
        ("image-helper", "error"),
        ("image-error", ["E-USER: There is none; name another"]),
    ]
    assert told[2]["progress"] == 100.0
    stamps = [each["timestamp"] for each in told]
    assert stamps == sorted(stamps)
    assert (bench.folder / "name").read_text() == "1:web.example.org\n"
    names = {line.partition("=")[0] for line in (bench.folder / "env").read_text().splitlines()}
    assert names <= {"PATH", "LC_ALL", "HOME", "PWD", "OLDPWD", "_", "SHLVL"}
    assert bench.stream.getvalue() == ""


def test_a_copy_of_unknown_size_ends_with_it(bench: Bench) -> None:
    bench.start("cat >told")
    bench.monitor.start("write image")
    bench.monitor.progress("writing image", 5, 0)
    bench.monitor.progress("writing image", 7 * MIB, 0)
    bench.monitor.end("write image")
    bench.close()
    copied = [each for each in bench.told() if each["type"] == "image-copy-progress"]
    assert [(each["position"], each["total"], each["progress"]) for each in copied] == [
        (5, 0, 0.0),
        (7 * MIB, 7 * MIB, 100.0),
    ]
    assert bench.told()[-1]["messages"] == ["Image customization finished successfully."]


def test_one_that_begins_slowly_misses_nothing(bench: Bench) -> None:
    bench.start("sleep 0.5; cat >told")
    bench.tell(20)
    bench.close()
    assert len(bench.told()) == 41


def test_what_it_prints_is_read_and_not_shown(bench: Bench) -> None:
    bench.start('while read -r line; do echo "$line" >>told; echo "$line $line $line"; echo x >&2; done')
    assert bench.tell(500) < 1
    bench.close()
    assert len(bench.told()) == 1001
    assert bench.stream.getvalue() == ""


# --- those that don't -------------------------------------------------------------------------------------------------


def test_one_that_ends_at_once(bench: Bench) -> None:
    sink = bench.start("echo no broker >&2; exit 3")
    assert wait_for(lambda: gone(sink._process.pid))
    assert bench.tell(100) < 1
    assert bench.close() < 0.5
    assert "the progress monitor" in bench.stream.getvalue()
    assert "failed (exit code 3): no broker" in bench.stream.getvalue()


def test_one_that_never_reads(bench: Bench) -> None:
    bench.start("echo $$ >pid; exec sleep 600")
    assert bench.tell(3000) < 1
    pid = bench.pid()
    assert bench.close() < program.FLUSH_SECONDS + program.END_SECONDS + 1
    assert gone(pid)
    assert "did not read" in bench.stream.getvalue()
    assert "was still at work at the end" in bench.stream.getvalue()


def test_one_that_ignores_everything_and_forks(bench: Bench) -> None:
    bench.start("trap '' TERM HUP INT; sleep 601 & echo $! >child; echo $$ >pid; cat >told; sleep 600; sleep 600")
    bench.tell()
    pid, child = bench.pid(), bench.pid("child")
    limit = program.END_SECONDS + program.TERM_SECONDS
    assert limit - 0.5 < bench.close() < limit + 1
    assert gone(pid)
    assert wait_for(lambda: gone(child))
    assert len(bench.told()) == 3


def test_what_a_good_one_leaves_behind_goes_too(bench: Bench) -> None:
    bench.start("sleep 600 & echo $! >pid; cat >told")
    child = bench.pid()
    assert bench.close() < 1
    assert wait_for(lambda: gone(child))


def test_one_that_prints_without_end(bench: Bench) -> None:
    bench.start("exec yes")
    assert bench.tell(200) < 1
    assert bench.close() < program.FLUSH_SECONDS + program.END_SECONDS + program.TERM_SECONDS + 1
    assert bench.stream.getvalue().count("\n") <= 3
    assert "y\ny" not in bench.stream.getvalue()


def test_half_an_event_is_never_followed_by_another(bench: Bench) -> None:
    bench.start("while [ ! -e go ]; do sleep 0.05; done; cat >told")
    bench.tell(3000)
    (bench.folder / "go").touch()
    bench.close()
    told = bench.told()
    assert told[-1]["messages"] == ["Image customization finished successfully."]
    assert told[0]["task"] == "task-0", "what the pipe has taken stays"
    assert 1000 < len(told) < 3000


def test_it_dies_with_us(bench: Bench) -> None:
    code = f"""
import os, sys, signal
sys.path[:0] = {sys.path!r}
from helper_host.log import Log
from helper_host.progress.program import Program
Program({str(bench.folder / "monitor")!r}, "web", Log())
signal.pause()
"""
    (bench.folder / "monitor").write_text(
        f"#!/bin/sh\ntrap '' TERM; echo $$ >{bench.folder}/pid; sleep 600; sleep 600\n"
    )
    (bench.folder / "monitor").chmod(0o755)
    process = subprocess.Popen([sys.executable, "-c", code])
    pid = bench.pid()
    assert os.getpgid(pid) == pid, "signals for our group are not for it"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert wait_for(lambda: gone(pid))


def test_one_that_others_could_write_is_not_run(bench: Bench) -> None:
    path = bench.folder / "monitor"
    path.write_text(f"#!/bin/sh\ntouch {bench.folder}/ran\n")
    path.chmod(0o777)
    with pytest.raises(trusted.Untrusted, match="can be written by others"):
        Program(str(path), "web", bench.log)
    path.chmod(0o644)
    with pytest.raises(PermissionError):
        Program(str(path), "web", bench.log)
    with pytest.raises(FileNotFoundError):
        Program(str(bench.folder / "none"), "web", bench.log)
    assert not (bench.folder / "ran").exists()
