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

from helper_host.errors import ProviderError
from helper_host.log import Log
from helper_host.runs import Run, sweep

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
    assert os.listdir(tmp_path) == ["notes.txt"]
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
