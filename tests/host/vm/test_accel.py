"""KVM or emulation, and the memory of a KVM that hung"""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from helper_host.log import Log
from helper_host.vm import accel


@pytest.fixture
def log() -> Log:
    return Log(stream=io.StringIO())


@pytest.fixture(autouse=True)
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /dev/kvm that opens"""
    path = tmp_path / "kvm"
    path.touch()
    monkeypatch.setattr(accel, "DEVICE", str(path))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "run")


def test_auto_takes_kvm_where_it_opens(folder: str, log: Log, device: Path) -> None:
    assert accel.choose("auto", folder, log) == "kvm"
    device.unlink()
    assert accel.choose("auto", folder, log) == "tcg"


def test_what_was_asked_for_is_done(folder: str, log: Log, device: Path) -> None:
    device.unlink()
    accel.remember_failure(folder, log)
    assert accel.choose("kvm", folder, log) == "kvm" and accel.choose("tcg", folder, log) == "tcg"


def test_a_failure_is_remembered_until_the_next_boot(
    folder: str, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accel.remember_failure(folder, log)
    assert accel.choose("auto", folder, log) == "tcg"
    other = tmp_path / "boot_id"
    other.write_text("another boot\n")
    monkeypatch.setattr(accel, "BOOT_ID", str(other))
    assert accel.choose("auto", folder, log) == "kvm"


@pytest.mark.parametrize("content", ["", "{", "[]", "\udcff", '{"kvm": "failed"}', "x" * 10000])
def test_a_broken_memory_is_none(folder: str, log: Log, content: str) -> None:
    path = Path(folder) / accel.FILE
    path.parent.mkdir()
    path.write_text(content, errors="surrogateescape")
    assert accel.choose("auto", folder, log) == "kvm"
    accel.remember_failure(folder, log)
    assert json.loads(path.read_text())["kvm"] == "failed" and [path] == list(path.parent.iterdir())


def test_emulation_and_a_memory_that_can_not_be_kept_are_said(folder: str, device: Path) -> None:
    stream = io.StringIO()
    Path(folder).write_text("in the way")
    accel.remember_failure(folder, Log(stream=stream))
    device.unlink()
    accel.choose("auto", folder, Log(stream=stream))
    assert stream.getvalue().count("warning: ") == 3 and "could not be remembered" in stream.getvalue()
