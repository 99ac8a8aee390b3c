"""Run files: one run an instance, leftovers swept, the living left alone"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from helper_host import outcomes, runs
from helper_host.errors import ProviderError
from helper_host.log import Log
from helper_host.runs import Run, look, sweep

HOLDER = """
import sys, time
sys.path[:0] = {path!r}
from helper_host.runs import Run
with Run({folder!r}, "web.example.org", "create"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process in the middle of a run"""
    script = HOLDER.format(path=sys.path, folder=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_run_leaves_nothing(tmp_path: Path) -> None:
    with Run(str(tmp_path), "web.example.org", "create"):
        assert os.listdir(tmp_path) == ["web.example.org.run"]
    assert os.listdir(tmp_path) == []


def test_a_second_run_of_the_same_instance_is_refused(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    try:
        with pytest.raises(ProviderError, match=f"E-BUSY.*process {holder.pid}"):
            Run(str(tmp_path), "web.example.org", "create")
        with Run(str(tmp_path), "db.example.org", "create"):
            pass
    finally:
        holder.kill()
        holder.wait()


def test_a_killed_run_is_swept_and_a_living_one_is_not(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("keep")
    stream = io.StringIO()
    sweep(str(tmp_path), Log(stream=stream))
    assert (tmp_path / "web.example.org.run").exists()
    assert stream.getvalue() == ""
    holder.kill()
    holder.wait()
    sweep(str(tmp_path), Log(stream=stream))
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "web.example.org.last"]
    assert outcomes.read(str(tmp_path))["web.example.org"]["error"] == outcomes.DIED
    assert "web.example.org died" in stream.getvalue()


def test_a_leftover_does_not_stop_the_next_run(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with Run(str(tmp_path), "web.example.org", "create"):
        pass


def test_a_folder_that_does_not_exist_has_nothing_to_sweep(tmp_path: Path) -> None:
    sweep(str(tmp_path / "none"), Log())


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProviderError, match="E-NODE"):
        Run(str(tmp_path / "file" / "folder"), "a", "create")


def test_a_sweep_that_looks_at_the_file_is_not_taken_for_a_run(tmp_path: Path) -> None:
    path = tmp_path / "web.example.org.run"
    path.write_text("")
    sweeper = os.open(path, os.O_RDWR)
    fcntl.flock(sweeper, fcntl.LOCK_EX)

    def done() -> None:
        path.unlink()
        os.close(sweeper)

    look = threading.Timer(0.1, done)
    look.start()
    with Run(str(tmp_path), "web.example.org", "create"):
        assert path.exists()
    look.join()


def test_a_folder_that_went_away_does_not_fail_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Run(str(folder), "web.example.org", "create"):
        shutil.rmtree(folder)


def test_what_cannot_be_swept_is_not_worth_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sweep(str(tmp_path / "file"), Log())


# --- the state, as others see it --------------------------------------------------------------------------------------


def test_others_see_who_runs_and_what_it_has_told(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with Run(str(tmp_path), "db.example.org", "create") as run:
        run.write({"phase": "writing image", "done": 5})
        mine, other = look(str(tmp_path))
        assert (mine.instance, mine.alive, mine.state["pid"]) == ("db.example.org", True, os.getpid())
        assert (mine.state["phase"], mine.state["done"], mine.state["action"]) == ("writing image", 5, "create")
        run.write({"phase": "boot"})
        assert "done" not in look(str(tmp_path))[0].state, "each record is a whole one"
        assert other.alive
        assert other.state["pid"] == holder.pid
        assert (tmp_path / "db.example.org.run").stat().st_mode & 0o777 == 0o600
    holder.kill()
    holder.wait()
    (dead,) = look(str(tmp_path))
    assert (dead.instance, dead.alive, dead.state["pid"]) == ("web.example.org", False, holder.pid)


def test_who_looks_keeps_nobody_from_running(tmp_path: Path) -> None:
    stop = threading.Event()

    def look_on() -> None:
        while not stop.is_set():
            look(str(tmp_path))

    looker = threading.Thread(target=look_on)
    looker.start()
    try:
        for _ in range(50):
            with Run(str(tmp_path), "web.example.org", "create"):
                pass
    finally:
        stop.set()
        looker.join()


def test_a_record_is_read_whole_while_it_is_written(tmp_path: Path) -> None:
    stop = threading.Event()
    with Run(str(tmp_path), "web.example.org", "create") as run:

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                run.write({"a": number, "b": "x" * (number % 1000), "c": number})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            states = [look(str(tmp_path))[0].state for _ in range(500)]
        finally:
            stop.set()
            writer.join()
    seen = [state for state in states if "a" in state]
    assert len(seen) > 100
    assert all(state["a"] == state["c"] and len(state["b"]) == state["a"] % 1000 for state in seen)


@pytest.mark.parametrize("content", [b"", b"x" * 5000, b"00000000 {}", b'ffffffff {"pid": 1}', b"\xff" * 4096])
def test_a_file_without_a_record_is_a_run_of_nobody_known(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "web.example.org.run").write_bytes(content)
    assert look(str(tmp_path)) == [runs.Seen("web.example.org", False, {})]


def test_a_state_that_is_too_long_is_not_written(tmp_path: Path) -> None:
    with Run(str(tmp_path), "web.example.org", "create") as run:
        run.write({"phase": "x" * runs.RECORD})
        assert "phase" not in look(str(tmp_path))[0].state
        assert (tmp_path / "web.example.org.run").stat().st_size == runs.RECORD


def test_a_run_forgets_how_the_one_before_it_ended(tmp_path: Path) -> None:
    outcomes.write(str(tmp_path), "web.example.org", {"error": ""})
    with Run(str(tmp_path), "web.example.org", "create"):
        assert outcomes.read(str(tmp_path)) == {}


def test_a_full_disk_is_nobodys_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with Run(str(tmp_path), "web.example.org", "create") as run:
        run.write({"phase": "boot"})
        assert look(str(tmp_path))[0].alive
