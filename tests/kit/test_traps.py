"""What a trap's test calls hanging: being blocked or busy, not standing behind others for a processor"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helper_kit import traps
from helper_kit.fake_tree import Tree

TRAP = next(trap for trap in traps.ALL if trap.name == "empty")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traps, "PATIENCE", 0.3)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with contextlib.closing(Tree(tmp_path / "tree")) as tree:
        yield tree


@pytest.fixture
def rivals() -> Iterator[None]:
    """We have a fifth of one processor"""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(mine)})
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
        os.sched_setaffinity(0, mine)


def _busy(seconds: float) -> None:
    """For as long on the processor"""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize("hang", [lambda: time.sleep(3), lambda: _busy(3)], ids=["blocked", "busy"])
def test_a_hang_is_an_error(tree: Tree, hang: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="still busy after"):
        traps.spring(TRAP, tree, "/etc/file", hang)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.usefixtures("rivals")
def test_what_others_take_is_not_counted(tree: Tree) -> None:
    _busy(0.2)  # until the rivals run, too
    began = time.monotonic()
    assert traps.spring(TRAP, tree, "/etc/file", lambda: _busy(0.2)) is None
    assert time.monotonic() - began > traps.PATIENCE, "nobody was in the way"
