"""How deployments ended: kept for a day, a hundred of them, and never anybody's failure"""

from __future__ import annotations

import os
import time
from pathlib import Path

from helper_host import outcomes


def test_what_is_written_is_read(tmp_path: Path) -> None:
    outcomes.write(str(tmp_path), "web.example.org", {"error": "E-HOOK: x; y", "timeline": ["a"]})
    outcomes.write(str(tmp_path), "web.example.org", {"error": ""})
    found = outcomes.read(str(tmp_path))["web.example.org"]
    assert found["error"] == ""
    assert abs(time.time() - found["ended"]) < 5
    assert os.listdir(tmp_path) == ["web.example.org.last"]
    assert (tmp_path / "web.example.org.last").stat().st_mode & 0o777 == 0o600
    outcomes.forget(str(tmp_path), "web.example.org")
    outcomes.forget(str(tmp_path), "web.example.org")
    assert outcomes.read(str(tmp_path)) == {}


def test_old_ones_and_too_many_go(tmp_path: Path) -> None:
    for number in range(outcomes.COUNT_MAX + 5):
        outcomes.write(str(tmp_path), f"i{number:03}", {"error": ""})
        moment = time.time() - (outcomes.COUNT_MAX + 5 - number)
        os.utime(tmp_path / f"i{number:03}.last", (moment, moment))
    os.utime(tmp_path / "i104.last", (1, 1))
    (tmp_path / "foreign").write_text("keep")
    outcomes.prune(str(tmp_path))
    left = sorted(os.listdir(tmp_path))
    assert left[0] == "foreign"
    assert left[1:] == [f"i{number:03}.last" for number in range(4, 104)]


def test_what_is_no_outcome_is_passed_over(tmp_path: Path) -> None:
    for number, content in enumerate([b"", b"[]", b"{}", b'{"ended": "x"}', b'{"ended": 1}', b"\xff"]):
        (tmp_path / f"i{number}.last").write_bytes(content)
    assert outcomes.read(str(tmp_path)) == {}
    assert outcomes.read(str(tmp_path / "nowhere")) == {}
    outcomes.prune(str(tmp_path / "nowhere"))


def test_no_room_is_no_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcomes.write(str(tmp_path / "file"), "web.example.org", {"error": ""})
    outcomes.write(str(tmp_path), "web.example.org", {"error": "x" * outcomes.SIZE_MAX})
    (tmp_path / "db.example.org.last").mkdir()
    outcomes.write(str(tmp_path), "db.example.org", {"error": ""})
    assert sorted(os.listdir(tmp_path)) == ["db.example.org.last", "file"]
