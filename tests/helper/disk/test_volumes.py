"""Volumes: what of LVM is opened and what is refused, LUKS' passphrase, and that all is closed in reverse

What lvm and cryptsetup do in the helper is tests/vm/test_growing.py's; here stand-ins answer for them.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_agent.api import TaskError
from helper_agent.disk import luks, lvm, mapper
from helper_agent.disk.signatures import Signature
from helper_agent.disk.volumes import Volumes
from helper_agent.run import CommandFailed, Completed
from tests.helper.support import Recorded

KEY = "canary-luks, with a blank"
PV = Signature("/dev/vda3", "LVM2_member", "uuid-1", "", disk="/dev/vda", number=3)
CRYPT = Signature("/dev/vda2", "crypto_LUKS", "0B8A4F5E", "", disk="/dev/vda", number=2)


class Tools:
    """Stands in for lvm, cryptsetup and dmsetup"""

    def __init__(self, folder: Path, rows: Sequence[dict[str, str]] = (), fail: CommandFailed | None = None) -> None:
        self.rows = rows
        self.fail = fail
        self.calls: list[tuple[list[str], bytes | None]] = []
        self.folder = folder

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        self.calls.append(([*argv], more.get("input")))
        assert more["env"]["DM_DISABLE_UDEV"] == "1"
        if self.fail and argv[0] == "cryptsetup":
            raise self.fail
        return Completed(0, json.dumps({"report": [{"lv": self.rows}]}).encode(), b"")

    @property
    def lines(self) -> list[str]:
        """The commands, without what is the same in all"""
        return [" ".join(one for one in argv if one != lvm.CONFIG) for argv, _ in self.calls]


def volume(name: str = "root", group: str = "vg", **more: str) -> dict[str, str]:
    return {
        "vg_name": group, "vg_uuid": f"id-of-{group}", "vg_missing_pv_count": "0", "lv_name": name,
        "lv_layout": "linear", "lv_role": "public", "devices": "/dev/vda3(0)", **more,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def mapped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every mapping is one file, with swap in it"""
    file = tmp_path / "mapped"
    file.write_bytes(bytes(4086) + b"SWAPSPACE2" + bytes(65536))
    monkeypatch.setattr(mapper, "device", lambda _: str(file))
    monkeypatch.setattr(mapper, "load", lambda *_: None)
    monkeypatch.setattr(luks, "memory_kib", lambda _: [])
    return file


def test_logical_volumes(tmp_path: Path, mapped: Path) -> None:
    rows = [volume("my-root"), volume("my-root", devices="/dev/vda3(9)"), volume("var", devices="/dev/vdb(0)")]
    tools = Tools(tmp_path, rows)
    other = Signature("/dev/vdb", "LVM2_member", "uuid-2", "", disk="/dev/vdb")
    volumes = Volumes(tools.run, Recorded())
    root, var = volumes.open([PV, other], "", "/dev/vda")
    assert root.names == ("/dev/mapper/vg-my--root", "/dev/vg/my-root")
    assert (root.disk, root.number, root.type) == ("/dev/vda", 3, "swap")
    assert root.stack == (lvm.Layer("lvm", ("/dev/vda3",), "vg/my-root", str(mapped)),)
    assert (var.disk, var.number) == ("/dev/vdb", 0)
    assert "lvm lvchange" in tools.lines[1]
    assert tools.lines[1].endswith("--activate y vg/my-root vg/var")
    for _ in range(2):
        volumes.close()
    assert tools.lines[2:] == ["dmsetup remove --retry vg-var vg-my--root"]


def test_lvm_looks_at_the_instances_devices_alone(tmp_path: Path) -> None:
    tools = Tools(tmp_path, [volume()])
    Volumes(tools.run, Recorded()).open([PV], "", "/dev/vda")
    for line in tools.lines:
        assert "--devices /dev/vda3" in line


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (volume(lv_layout="thin,sparse"), "thin"),
        (volume(lv_layout="raid,raid1"), "raid"),
        (volume(lv_role="public,origin,thickorigin"), "origin"),
        (volume(vg_missing_pv_count="1"), "lacks 1"),
    ],
)
def test_left_out(tmp_path: Path, row: dict[str, str], words: str) -> None:
    tools, log = Tools(tmp_path, [row]), Recorded()
    assert Volumes(tools.run, log).open([PV], "", "/dev/vda") == []
    assert words in str(log.lines)
    assert len(tools.calls) == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([volume(group="--config")], "name that it can't have"),
        ([volume("-rf")], "name that it can't have"),
        ([volume(group="../etc")], "name that it can't have"),
        ([volume(group="..")], "name that it can't have"),
        ([volume("a/b")], "name that it can't have"),
        ([volume(group="null")], "named as a device"),
        ([volume(), volume("other", vg_uuid="another")], "Two volume groups"),
    ],
)
def test_hostile(tmp_path: Path, rows: list[dict[str, str]], words: str) -> None:
    tools, log = Tools(tmp_path, rows), Recorded()
    volumes = Volumes(tools.run, log)
    assert volumes.open([PV], "", "/dev/vda") == []
    (problem,) = volumes.problems
    assert problem.code == "E-VOLUME"
    assert words in problem.cause
    assert len(tools.calls) == 1, "nothing was activated"


def test_a_copy_of_a_physical_volume(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    volumes = Volumes(tools.run, Recorded())
    volumes.open([PV, PV._replace(device="/dev/vdb", disk="/dev/vdb", number=0)], "", "/dev/vda")
    assert "the same LVM physical volume" in volumes.problems[0].cause
    assert not tools.calls


def test_the_passphrase_goes_to_stdin_alone(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    volumes = Volumes(tools.run, Recorded())
    (found,) = volumes.open([CRYPT], KEY, "/dev/vda")
    assert [given for _, given in tools.calls] == [KEY.encode()]
    assert not any(KEY in word for argv, _ in tools.calls for word in argv)
    assert found.stack[0][:3] == ("luks", ("/dev/vda2",), "helper-luks-0")
    assert volumes.unlocked == ["/dev/vda2"]
    volumes.close()
    assert tools.lines[-1] == "dmsetup remove --retry helper-luks-0"


def test_without_a_passphrase_nothing_is_tried(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    assert Volumes(tools.run, Recorded()).open([CRYPT], "", "/dev/vda") == []
    assert not tools.calls


def test_a_wrong_passphrase(tmp_path: Path) -> None:
    tools = Tools(tmp_path, fail=CommandFailed(["cryptsetup"], "exit code 2", "No key available", 2))
    log = Recorded()
    volumes = Volumes(tools.run, log)
    assert volumes.open([CRYPT], KEY, "/dev/vda") == []
    assert volumes.problems[0].code == "E-OPTION"
    assert KEY not in str(log.lines) + str(volumes.problems[0].cause)


def test_a_volume_in_itself_ends(tmp_path: Path, mapped: Path) -> None:
    """Every volume holds another physical volume, for ever"""
    mapped.write_bytes(bytes(512) + b"LABELONE" + bytes(16) + b"LVM2 001" + bytes(65536))
    tools = Tools(tmp_path)
    count = 0

    def run(argv: Sequence[str], **more: Any) -> Completed:
        nonlocal count
        count += 1
        tools.rows = [volume(f"deep{count}")]
        return tools.run(argv, **more)

    volumes = Volumes(run, Recorded())
    volumes.open([PV], "", "/dev/vda")
    assert count < 20


def test_closing_fails(tmp_path: Path) -> None:
    log = Recorded()

    def run(argv: Sequence[str], **_: Any) -> Completed:
        if argv[0] == "dmsetup":
            raise CommandFailed(argv, "exit code 1", "Device or resource busy", 1)
        return Completed(0, b"", b"")

    volumes = Volumes(run, log)
    volumes.open([CRYPT], KEY, "/dev/vda")
    volumes.close()
    assert "could not be closed" in str(log.lines)


# --- LUKS' header ---


@pytest.mark.programs
def test_memory_of_a_real_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    file = tmp_path / "luks"
    file.write_bytes(bytes(20 << 20))
    for more, expected in ((["--pbkdf", "argon2id", "--pbkdf-memory", "32768"], [32768]), (["--pbkdf", "pbkdf2"], [])):
        argv = ["cryptsetup", "luksFormat", "-q", "--type", "luks2", *more, "--pbkdf-force-iterations"]
        count = "4" if expected else "1000"
        subprocess.run([*argv, count, str(file), "-"], input=b"x", check=True, capture_output=True)
        assert luks.memory_kib(str(file)) == expected


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary(max_size=2000) | st.just(b'{"keyslots":' + b"[" * 100_000), size=st.integers(0, 2**64 - 1))
def test_memory_of_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, size: int) -> None:
    monkeypatch.undo()
    file = tmp_path / "luks"
    for claimed in (size, 4096 + len(text)):
        head = b"LUKS\xba\xbe\0\2" + claimed.to_bytes(8, "big")
        file.write_bytes(head.ljust(4096, b"\0") + text)
        assert luks.memory_kib(str(file)) == []


def test_too_little_memory_names_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(luks, "memory_kib", lambda _: [1 << 30])
    with pytest.raises(TaskError, match="too little memory") as caught:
        luks.open_volume("/dev/vda2", "name", KEY, Tools(tmp_path).run)
    assert "memory_mib" in caught.value.remedy
