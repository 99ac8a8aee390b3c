"""The administrator's command"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_agent import protocol
from helper_agent.protocol import AGENT_VERSION, PROTOCOL_VERSION
from helper_host import helper_image, paths, settings
from helper_host.commands import main, tool
from helper_host.errors import CODES
from helper_host.image.integrity import gpgv
from helper_host.settings import Settings
from tests.host.manifests import manifest
from tests.host.signing import PUBLISHER, Keys

MOTD = """#!/bin/sh
# /// task
# api = 1
# heading = "Say what this machine is"
# [options.owner]
# kind = "str"
# help = "Domain"
# ///
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signal handlers belong to the test run"""
    before = {number: signal.getsignal(number) for number in main.ENDINGS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A helper image of empty files, which the settings name"""
    names = (helper_image.KERNEL, helper_image.INITRD, helper_image.ROOT)
    (tmp_path / helper_image.MANIFEST).write_text(json.dumps(manifest(dict.fromkeys(names, b""))))
    for name in names:
        (tmp_path / name).touch()
    folders = {"tasks_folder": str(tmp_path / "tasks.d"), "keyrings": str(tmp_path / "keyrings")}
    loaded = Settings.of(helper_image=str(tmp_path), qemu="/bin/true", **folders)
    monkeypatch.setattr(settings, "load", lambda _variant="": loaded)
    return tmp_path


def test_version_is_one_line_that_changes_with_the_image(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.run(["version"]) == 0
    first = capsys.readouterr().out
    assert first.startswith(
        f"ganeti-instance-helper {AGENT_VERSION}, protocol {PROTOCOL_VERSION}, helper image bookworm "
    )
    assert first.count("\n") == 1
    path = image / helper_image.MANIFEST
    path.write_text(path.read_text() + "\n")
    assert tool.run(["version"]) == 0
    second = capsys.readouterr().out
    assert second != first
    (image / "tasks.d").mkdir()
    (image / "tasks.d" / "org.example.motd.sh").write_text(MOTD)
    assert tool.run(["version"]) == 0
    assert capsys.readouterr().out != second


def test_check(image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(paths, "SETTINGS", str(image))
    assert tool.run(["check"]) == 0
    assert "in order" in capsys.readouterr().out
    (image / helper_image.ROOT).write_bytes(b"x")
    assert tool.run(["check"]) == 1
    assert capsys.readouterr().err.startswith("E-HELPER-IMAGE: ")


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (
            '[tasks."org.example.motd"]\nownr = "x"\n',
            "big.toml [tasks]: The task org.example.motd has no option 'ownr'",
        ),
        ('[parameters]\nskip_tasks = "nonsense"\n', "there is no task 'nonsense'"),
        ('[parameters]\ntask_options = "nonsense.x=1"\n', "a task that is not there ('nonsense')"),
        ('tasks_folder = "/nowhere"\n[tasks."org.example.motd"]\nowner = "x"\n', "not there: org.example.motd"),
    ],
)
def test_check_looks_at_tasks_with_every_variants_settings(
    image: Path, variant: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(paths, "SETTINGS", str(image))
    monkeypatch.setattr(settings, "load", functools.partial(settings.load, folder=str(image)))
    for folder in ("variants", "tasks.d"):
        (image / folder).mkdir()
    rows = f'helper_image = "{image}"\ntasks_folder = "{image}/tasks.d"\nqemu = "/bin/true"\n'
    (image / "config.toml").write_text(rows)
    (image / "variants" / "good.toml").write_text('[tasks."org.example.motd"]\nowner = "x"\n')
    (image / "tasks.d" / "org.example.motd.sh").write_text(MOTD)
    assert tool.run(["check"]) == 0
    assert "settings and 1 of variants, tasks, helper image" in capsys.readouterr().out
    (image / "variants" / "big.toml").write_text(variant)
    assert tool.run(["check"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("E-SETTINGS: ")
    assert words in message
    (image / "variants" / "big.toml").write_text(f'node_hooks = "{image}/nowhere"\n')
    assert tool.run(["check"]) == 1
    assert capsys.readouterr().err.startswith("E-HOOK: ")
    (image / "variants" / "big.toml").unlink()
    (image / "tasks.d" / "org.example.motd.sh").write_text("#!/bin/sh\n")
    assert tool.run(["check"]) == 1
    assert capsys.readouterr().err.startswith("E-TASKS: ")


@pytest.mark.programs
def test_check_looks_at_keys_and_what_checks_signatures(
    image: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def says(message: str, **changed: object) -> None:
        loaded = Settings.of(helper_image=str(image), qemu="/bin/true", keyrings=str(image / "keyrings"), **changed)
        monkeypatch.setattr(settings, "load", lambda _variant="": loaded)
        assert tool.run(["check"]) == (1 if message else 0)
        assert capsys.readouterr().err.startswith(message)

    monkeypatch.setattr(paths, "SETTINGS", str(image))
    says("E-IMAGE-SIGNATURE: There is no key to check signatures with in ", require="signature")
    says("", require="checksum")
    keys.keyrings(image / "keyrings", PUBLISHER)
    says("", require="signature")
    monkeypatch.setattr(gpgv, "PROGRAM", "/nowhere/gpgv")
    says("E-NODE: /nowhere/gpgv, which checks signatures of images, is not there", require="signature")
    says("", require="checksum")
    (image / "keyrings" / "bad.asc").write_text("no key")
    says(f"E-SETTINGS: {image}/keyrings/bad.asc is not a keyring", require="none")


def test_check_looks_at_what_fetches_images(
    image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def says(**changed: object) -> str:
        loaded = Settings.of(helper_image=str(image), qemu="/bin/true", keyrings=str(image / "keyrings"), **changed)
        monkeypatch.setattr(settings, "load", lambda _variant="": loaded)
        assert tool.run(["check"]) == (1 if changed else 0)
        return capsys.readouterr().err

    monkeypatch.setattr(paths, "SETTINGS", str(image))
    missing = str(image / "missing")
    assert says() == ""
    assert says(image_programs={"s3": missing}).startswith("E-SETTINGS: Programs that fetch images run as root, and ")
    cause = f"E-SETTINGS: Downloads can't be checked: {missing} can't be read (No such file or directory); "
    assert says(ca_file=missing).startswith(cause)


@pytest.mark.parametrize(
    ("name", "word"), [("parameters", "`ssh_keys`"), ("settings", "#accel"), ("errors", "E-NO-SYSTEM")]
)
def test_tables(name: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.run([name]) == 0
    assert word in capsys.readouterr().out


def test_every_code_is_in_the_table() -> None:
    assert all(f"`{code}`" in tool.errors() for code in CODES)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in tool.COMMANDS)
    assert tool.run(["nonsense"]) == 2
    assert tool.run([]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.programs
@pytest.mark.parametrize("arguments", [("settings",), ("task", "show", "network")])
def test_who_reads_the_output_may_stop(arguments: tuple[str, ...]) -> None:
    """As `head` does"""
    path = [str(Path(paths.__file__).parents[1]), str(Path(protocol.__file__).parents[1])]
    code = f"import sys; sys.path[:0] = {path!r}; from helper_host.commands import tool; sys.argv[1:] = {arguments!r}"
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-I", "-c", f"{code}; tool.main()"]
    ended = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writing)
    assert ended.returncode == 0, ended.stderr
    assert "Broken" not in ended.stderr
