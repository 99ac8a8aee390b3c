"""What a run's record says by now"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.progress import view
from helper_host.progress.activity import WINDOW
from helper_host.runs import Seen

MIB = 1 << 20


def test_work_under_way() -> None:
    now = time.time()
    state = {"pid": 7, "action": "create", "since": now - 100, "phase": "writing image", "phase_since": now - 4}
    state |= {"done": 100 * MIB, "total": 500 * MIB, "rate": 50 * MIB, "at": now}
    each = view.view(Seen("web", True, state))
    assert each.age == pytest.approx(100, abs=1)
    assert each.left == pytest.approx(8)
    assert each.line() == "web: writing image: 100 of 500 MiB (20 %), 50 MiB/s, 8 s left"


def test_what_has_stalled_has_no_rate() -> None:
    state = {"phase": "writing image", "done": MIB, "total": 5 * MIB, "rate": MIB, "at": time.time() - WINDOW - 1}
    each = view.view(Seen("web", True, state))
    assert (each.rate, each.left) == (0.0, None)
    assert each.line() == "web: writing image: 1 of 5 MiB (20 %), 0.0 MiB/s"


def test_without_bytes_and_dead() -> None:
    state = {"phase": "boot (kvm)", "phase_since": time.time() - 65}
    assert view.view(Seen("web", True, state)).line() == "web: boot (kvm), for 1:05"
    assert view.view(Seen("web", False, state)).line() == "web: dead (boot (kvm))"


@pytest.mark.parametrize("state", [{}, {"pid": "x", "done": None, "total": [], "phase": 3, "since": {}, "at": ""}])
def test_a_strange_record(state: dict[str, object]) -> None:
    each = view.view(Seen("web", True, state))
    assert (each.pid, each.phase, each.done, each.total) == (0, "starting", -1, 0)


def test_an_escape_sequence_reaches_no_terminal() -> None:
    assert "\x1b" not in view.view(Seen("web", True, {"phase": "\x1b]0;x\x07"})).line()


def test_folders(tmp_path: Path) -> None:
    assert view.under_way([str(tmp_path / "none"), str(tmp_path)]) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ProviderError, match=r"E-NODE: .*sudo"):
        view.under_way([str(tmp_path / "file")])


def test_outcomes_in_words() -> None:
    assert view.outcome_line({"ended": time.time() - 61, "error": ""}) == "done 1:01 ago"
    assert view.outcome_line({"ended": time.time() - 5, "error": "E-X: a; b"}) == "failed 5 s ago: E-X: a; b"
