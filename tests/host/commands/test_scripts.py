"""Ganeti's scripts from the outside, as processes: exit code, last line, no traceback"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.programs

TOP = Path(__file__).parents[3]
DEFINITION = TOP / "host" / "definition"
GANETI_PATH = "/sbin:/bin:/usr/sbin:/usr/bin"
CREATE = {
    "INSTANCE_NAME": "web.example.org",
    "INSTANCE_OS": "helper+default",
    "DISK_COUNT": "1",
    "DISK_0_PATH": "/nonexistent/disk",
    "DISK_0_SIZE": "1",
    "NIC_COUNT": "0",
}
SIZE = 1 << 20


def start(name: str, environ: Mapping[str, str], **more: Any) -> subprocess.Popen[bytes]:
    """A script, started as Ganeti does, but for the interpreter, which `make install` would put into its first line"""
    environment = {"PATH": GANETI_PATH, "OS_API_VERSION": "20", "OS_NAME": "helper", "DEBUG_LEVEL": "0", **environ}
    return subprocess.Popen(
        [sys.executable, str(DEFINITION / name)],
        env={**environment, "PYTHONPATH": f"{TOP / 'host'}:{TOP / 'helper'}"},
        stderr=subprocess.PIPE,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **more},
    )


def call(name: str, environ: Mapping[str, str], **more: Any) -> tuple[int, bytes, str]:
    """Exit code, stdout and stderr"""
    process = start(name, environ, **more)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr.decode()


def failure(name: str, environ: Mapping[str, str]) -> str:
    """The last line of a script that fails as it should"""
    code, _, log = call(name, environ)
    assert code == 1
    assert "Traceback" not in log
    return log.splitlines()[-1]


def test_the_definition_is_what_ganeti_asks_for() -> None:
    scripts = {"create", "export", "import", "rename", "verify"}
    assert {path.name for path in DEFINITION.iterdir() if path.name != "__pycache__"} == {
        *scripts,
        "ganeti_api_version",
        "parameters.list",
        "variants.list",
        # not Ganeti's: the administrator's command, installed elsewhere
        "ganeti-instance-helper",
    }
    for name in scripts:
        assert os.access(DEFINITION / name, os.X_OK)
    assert (DEFINITION / "ganeti_api_version").read_text() == "20\n"
    assert (DEFINITION / "variants.list").read_text() == "default\n"


def test_verify_takes_a_clusters_defaults() -> None:
    assert call("verify", {"OSP_USERS": "root", "OSP_DNS_SERVERS": "192.0.2.1"}) == (0, b"", "")
    assert call("verify", {}) == (0, b"", "")


def test_verify_does_not_ask_for_the_image() -> None:
    assert call("verify", {"OSP_IMAGE": "not-there", "OSP_IMAGE_CHECKSUM": "sha256:" + "0" * 64})[0] == 0


def test_verify_looks_at_the_syntax_of_tasks_only() -> None:
    """There may be no helper image here, no network, and the tasks are those of the node that installs"""
    environ = {
        "OSP_TASK_OPTIONS": "org.example.nowhere.owner='example org'",
        "OSP_CUSTOM_TASK": f"https://192.0.2.1/task.sh#sha256:{'0' * 64}",
        "OSP_IMG_PROPERTIES": '{"EXCLUDE_TASK_DeleteSSHKeys":"yes"}',
        "OSP_SKIP_TASKS": "org.example.nowhere",
    }
    assert call("verify", environ) == (0, b"", "")
    for name in ("OSP_TASK_OPTIONS", "OSP_TASK_SECRETS", "OSP_CUSTOM_TASK", "OSP_IMG_PROPERTIES"):
        message = failure("verify", {name: "canary"})
        assert message.startswith(f"E-PARAMETER: OS parameter '{name.removeprefix('OSP_').lower()}': ")
        assert "canary" not in message


def test_verify_refuses() -> None:
    assert failure("verify", {"OSP_SWAP": "lots"}).startswith("E-PARAMETER: OS parameter 'swap': 'lots' is neither")


def test_create_opens_with_verifys_checks() -> None:
    assert failure("create", {"OSP_SWAP": "lots"}).startswith("E-PARAMETER: OS parameter 'swap'")


def test_create_needs_an_image() -> None:
    assert failure("create", CREATE).startswith("E-PARAMETER: OS parameter 'image': is missing; give -O image=")


def test_create_needs_ganeti() -> None:
    assert failure("create", {"OSP_IMAGE": "x"}).startswith("E-ENVIRONMENT: INSTANCE_NAME is not set")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"DISK_COUNT": "0"}, "E-ENVIRONMENT: Instance web.example.org has no disk"),
        ({"DISK_0_PATH": "", "DISK_0_URI": "ssh://a/b"}, "E-ENVIRONMENT: DISK_0_URI is of a kind that is not known"),
        ({"DISK_0_ACCESS": "ro"}, "E-DISK-IO: Disk 0 is read-only"),
    ],
)
def test_create_needs_a_disk_to_write_to(changed: Mapping[str, str], line: str) -> None:
    assert failure("create", {**CREATE, "OSP_IMAGE": "x", **changed}).startswith(line)


def test_rename_without_anything_to_rename() -> None:
    assert call("rename", {**CREATE, "DISK_COUNT": "0"})[0] == 0


def test_a_secret_is_neither_in_the_log_nor_in_the_error() -> None:
    environ = {**CREATE, "DEBUG_LEVEL": "1", "OSP_IMAGE": "x", "OSP_PASSWORD": "canary", "OSP_SWAP": "lots"}
    assert "canary" not in call("create", environ)[2]
    del environ["OSP_SWAP"]
    assert "canary" not in call("create", environ)[2]


def test_export_and_import(tmp_path: Path) -> None:
    source, target, stream = tmp_path / "source", tmp_path / "target", tmp_path / "stream"
    content = b"\x55\xaa" * 300_000 + bytes(SIZE)
    source.write_bytes(content[:SIZE])
    environ = {**CREATE, "EXPORT_INDEX": "0", "EXPORT_DEVICE": str(source)}
    reader, writer = os.pipe()
    with stream.open("wb") as file:
        code, _, log = call("export", {**environ, "EXP_SIZE_FD": str(writer)}, stdout=file, pass_fds=(writer,))
    os.close(writer)
    assert code == 0, log
    assert os.read(reader, 100) == b"%d\n" % SIZE
    os.close(reader)
    assert stream.read_bytes() == content[:SIZE]
    with target.open("wb") as file:
        file.truncate(SIZE)
    environ = {**CREATE, "IMPORT_INDEX": "0", "IMPORT_DEVICE": str(target)}
    with stream.open("rb") as file:
        code, _, log = call("import", environ, stdin=file)
    assert code == 0, log
    assert target.read_bytes() == content[:SIZE]


def test_an_empty_stream_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "disk"
    target.write_bytes(bytes(SIZE))
    environ = {**CREATE, "IMPORT_INDEX": "0", "IMPORT_DEVICE": str(target)}
    assert failure("import", environ).startswith("E-STREAM: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_import_with_a_line_of_its_own(tmp_path: Path, number: signal.Signals) -> None:
    target = tmp_path / "disk"
    target.write_bytes(bytes(SIZE))
    environ = {**CREATE, "IMPORT_INDEX": "0", "IMPORT_DEVICE": str(target)}
    process = start("import", environ, stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert b"importing disk 0" in process.stderr.readline()
    began = time.monotonic()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 1
    assert stderr.decode().splitlines()[-1].startswith(f"E-INTERRUPTED: The script was ended by {number.name}")


def test_create_takes_little_time_to_the_deployment() -> None:
    """Imports: what is only needed in a run, or only in its threads, is not loaded by then"""
    probe = (
        "import sys; sys.argv = ['create'];"
        "from helper_host.commands import main; code = main.guarded('verify', {'OSP_USERS': 'root'});"
        "import helper_host.commands.create, helper_host.commands.opening;"
        "print(*sorted({'cryptography', 'pycdlib', 'tomllib', 'dataclasses', 'inspect', 'logging'} & set(sys.modules)))"
    )
    environ = {"PATH": GANETI_PATH, "PYTHONPATH": f"{TOP / 'host'}:{TOP / 'helper'}"}
    result = subprocess.run([sys.executable, "-c", probe], env=environ, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.parametrize(("disks", "expected"), [("0", 0), ("nonsense", 1)])
def test_a_full_log_changes_no_exit_code(disks: str, expected: int) -> None:
    code = (
        f"import sys; sys.path[:0] = {[str(TOP / part) for part in ('host', 'helper')]!r}\n"
        "from helper_host.commands.main import main; main('rename')"
    )
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-I", "-c", code],
            env={**CREATE, "PATH": GANETI_PATH, "DISK_COUNT": disks, "OLD_INSTANCE_NAME": "old.example.org"},
            stdout=full,
            stderr=full,
            check=False,
        )
    assert done.returncode == expected
