"""ganeti-instance-helper cache"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host import settings
from helper_host.commands import main, tool
from helper_host.settings import Settings
from tests.host.image.cache.server import Server, serving
from tests.host.image.cache.using import MIB, Node, sha256

OLD, NEW = os.urandom(MIB), os.urandom(2 * MIB)
DAY = 86400


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signal handlers belong to the test run"""
    before = {number: signal.getsignal(number) for number in main.ENDINGS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.files.update({"/old": OLD, "/new": NEW})
        yield server


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """With a cache that the settings name"""
    node = Node(tmp_path / "cache")
    given = Settings.of(cache_folder=str(node.folder), cache_size_mib=10)
    monkeypatch.setattr(settings, "load", lambda variant="": given)
    return node


@pytest.fixture
def filled(server: Server, node: Node) -> Node:
    """Two copies, of which one was not used for ten days"""
    node.get(server.url("/old"))
    node.get(server.url("/new"))
    path = node.folder / "objects" / sha256(OLD)
    os.utime(path, (time.time() - 10 * DAY, time.time() - 20 * DAY))
    return node


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[str]:
    assert tool.run(["cache", *arguments]) == code
    return capsys.readouterr().out.splitlines()


def test_list(server: Server, filled: Node, capsys: pytest.CaptureFixture[str]) -> None:
    new, old, total = said(capsys, "list")
    assert new.split() == [
        *("2.0", "MiB", "fetched", "just", "now,", "used", "just", "now"),
        *(f"sha256:{sha256(NEW)[:16]}", f"http://127.0.0.1:{server.port}/new?..."),
    ]
    assert "fetched 20 days ago, used 10 days ago" in old
    assert old.endswith("/old?...")
    assert total == "2 complete, 3.0 MiB in all; 10 MiB are allowed"


def test_list_of_what_is_under_way(server: Server, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    server.hold_at = MIB
    with node.open(server.url("/new")) as content:
        content.peek(MIB // 2)
        (line, _) = said(capsys, "list")
        assert f"of 2.0  partial, process {os.getpid()} fetches it  http://127.0.0.1" in line
    (line, _) = said(capsys, "list")
    assert "partial, left just now" in line
    assert "canary" not in line


def test_nothing_was_ever_kept(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("list", "prune", "verify"):
        assert said(capsys, command) == ["nothing is kept"]
    assert not node.folder.exists()


def test_prune_by_age(filled: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "prune", "--older-than", "11")[0].startswith("0 removed")
    assert said(capsys, "prune", "--older-than", "9") == ["1 removed, 1.0 MiB; 1 left, 2.0 MiB"]
    assert filled.objects() == [sha256(NEW)]
    assert len(filled.names("urls")) == 1, "what spoke of it is gone"


def test_prune_to_the_bound(filled: Node, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(capsys, "prune")[0].startswith("0 removed")
    given = Settings.of(cache_folder=str(filled.folder), cache_size_mib=2)
    monkeypatch.setattr(settings, "load", lambda variant="": given)
    assert said(capsys, "prune")[0].startswith("1 removed")
    assert filled.objects() == [sha256(NEW)]


def test_prune_everything_but_what_is_in_use(server: Server, filled: Node, capsys: pytest.CaptureFixture[str]) -> None:
    server.files["/more"] = os.urandom(2 * MIB)
    server.hold_at = MIB
    with filled.open(server.url("/new")) as used, filled.open(server.url("/more")) as coming:
        assert used.at_hand
        assert said(capsys, "prune", "--all")[0].endswith("; 2 more are in use")
        assert filled.objects() == [sha256(NEW)]
        server.go.set()
        assert b"".join(map(bytes, coming.pieces(threading.Event()))) == server.files["/more"]
    assert said(capsys, "prune", "--all")[0].startswith("2 removed")
    assert filled.objects() == [] and filled.names("parts") == [] and filled.names("urls") == []


def test_prune_sweeps_leftovers(filled: Node, capsys: pytest.CaptureFixture[str]) -> None:
    key = "0" * 40
    for name in (f"parts/{key}.state.tmp", f"parts/{key}.1234.part", f"urls/{key}.tmp", f"urls/{key}", "key.1234"):
        (filled.folder / name).write_text("rubbish")
    os.utime(filled.folder / "key.1234", (0, 0))
    said(capsys, "prune")
    assert not [path for path in filled.folder.rglob("*") if key in path.name or path.name == "key.1234"]
    assert len(filled.objects()) == 2
    assert filled.get("http://127.0.0.1:1/", sha256(NEW)).at_hand


def test_verify(server: Server, filled: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "verify") == ["2 in order, 3.0 MiB"]
    path = filled.folder / "objects" / sha256(OLD)
    path.chmod(0o600)
    path.write_bytes(OLD[:-1] + bytes([OLD[-1] ^ 1]))
    damaged, summary = said(capsys, "verify", code=1)
    assert damaged == f"damaged, and removed: sha256:{sha256(OLD)}  http://127.0.0.1:{server.port}/old?..."
    assert summary.startswith("1 in order, 2.0 MiB, 1 damaged: look at the storage")
    assert said(capsys, "verify") == ["1 in order, 2.0 MiB"]


@pytest.mark.parametrize(
    "arguments", [[], ["empty"], ["prune", "--older-than", "x"], ["prune", "--older-than", "-1"], ["list", "x"]]
)
def test_wrong_usage(arguments: list[str], node: Node) -> None:
    assert tool.run(["cache", *arguments]) == 2


@pytest.mark.parametrize("days", ["x", "-1", "nan", "1e9"])
def test_days_that_are_none(days: str, node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.run(["cache", "prune", "--older-than", days]) == 2
    assert f"{days!r} is not a number of days, 0 or more" in capsys.readouterr().err


def test_a_folder_of_somebody_elses(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.folder.mkdir(mode=0o777)
    node.folder.chmod(0o777)
    assert tool.run(["cache", "verify"]) == 1
    assert capsys.readouterr().err.startswith("E-CACHE: The cache ")
