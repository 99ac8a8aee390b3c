"""A whole `create` onto a disk that has only a URI, with a scripted QEMU: how it ends, and what state the disk is in"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import calling
from tests.host.deploying import DISK_SIZE, MIB, OLD, Bench, checked, failed, wait_for
from tests.host.image import nbd_server
from tests.host.image.nbd_server import Server
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

QUICK = """
from helper_host.image.nbd import broker, client, disk, uri
uri.RECONNECT_SECONDS = 1
disk.open_volume.__kwdefaults__["silence"] = 2.0
broker.OPEN_SECONDS = 3.0
"""
WHILE_WRITING = """
import os
from helper_host.image.nbd.disk import NbdDisk
def clear(disk, *arguments, clear=NbdDisk.clear):
    os.kill({pid}, {number})
    return clear(disk, *arguments)
NbdDisk.clear = clear
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with checked(Bench(tmp_path)) as bench:
        bench.prelude += QUICK
        yield bench
        assert wait_for(lambda: not nbd_server.brokers()), "no broker may outlive its create"


@pytest.fixture
def server(bench: Bench) -> Iterator[Server]:
    with Server(bench.disk) as server:
        yield server


def uri_only(server: Server) -> dict[str, str]:
    return {"DISK_0_PATH": "", "DISK_0_URI": server.uri}


# --- success ----------------------------------------------------------------------------------------------------------


def test_a_deployment_that_goes_well(bench: Bench, server: Server) -> None:
    ended = bench.create(fake_qemu.good(), **uri_only(server))
    assert ended.code == 0, ended.log
    assert bench.is_deployed()


def test_a_disk_with_both_is_used_by_its_path(bench: Bench) -> None:
    ended = bench.create(fake_qemu.good(), DISK_0_URI="nbd://192.0.2.1/nobody-is-there")
    assert ended.code == 0, ended.log
    assert bench.is_deployed()


def test_a_uri_and_a_file(bench: Bench, server: Server) -> None:
    data = bench.folder / "data"
    data.write_bytes(OLD * 1000 + bytes(4 * MIB - len(OLD) * 1000))
    second = {"DISK_COUNT": "2", "DISK_1_PATH": str(data), "DISK_1_SIZE": "4", "DISK_1_ACCESS": "rw"}
    steps = fake_qemu.good()
    steps.insert(3, ["write", 1, MIB, "written by the guest"])
    ended = bench.create(steps, **uri_only(server), **second)
    assert ended.code == 0, ended.log
    assert bench.is_deployed() and b"written by the guest" in data.read_bytes()[MIB : MIB + 100]


def test_a_file_and_a_uri(bench: Bench, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(OLD * 1000 + bytes(4 * MIB - len(OLD) * 1000))
    before = data.read_bytes()
    with Server(data, options=("--read-only",)) as server:
        second = {"DISK_COUNT": "2", "DISK_1_URI": server.uri, "DISK_1_SIZE": "4", "DISK_1_ACCESS": "ro"}
        ended = bench.create(fake_qemu.good(), **second)
    assert ended.code == 0, ended.log
    assert bench.is_deployed() and data.read_bytes() == before


def test_a_vm_that_is_started_again_gets_the_disk_again(bench: Bench, server: Server) -> None:
    ended = bench.create([["exit", 1]], **uri_only(server))
    failed(ended, "E-VM-DIED")
    assert ended.log.count("starting it again") == 2
    assert bench.head_is_empty() or bench.is_old()


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"DISK_0_URI": "file:///etc/passwd"}, "E-ENVIRONMENT"),
        ({"DISK_0_URI": "json:{}"}, "E-ENVIRONMENT"),
        ({"DISK_0_URI": "nbd+unix:///?socket=/nonexistent/socket"}, "E-DISK-IO"),
        ({"DISK_0_SIZE": "17"}, "E-DISK-IO"),
    ],
)
def test_refused_before_anything_is_written(bench: Bench, server: Server, changed: dict[str, str], code: str) -> None:
    failed(bench.create(fake_qemu.good(), **uri_only(server) | changed), code)
    assert bench.is_old()


def test_a_read_only_server(bench: Bench) -> None:
    with Server(bench.disk, options=("--read-only",)) as server:
        failed(bench.create(fake_qemu.good(), **uri_only(server)), "E-DISK-IO")
    assert bench.is_old()


def test_node_hooks_need_a_device(bench: Bench, server: Server) -> None:
    hooks = bench.folder / "hooks"
    hooks.mkdir()
    bench.settings["node_hooks"] = str(hooks)
    assert bench.create(fake_qemu.good(), **uri_only(server)).code == 0, "there is none"
    (hooks / "first").write_text("#!/bin/sh\n")
    (hooks / "first").chmod(0o755)
    bench.disk.write_bytes(OLD * (DISK_SIZE // len(OLD) + 1))
    os.truncate(bench.disk, DISK_SIZE)
    ended = bench.create(fake_qemu.good(), **uri_only(server))
    failed(ended, "E-HOOK")
    assert "access=kernelspace" in ended.last and bench.is_old()


def test_a_key_in_a_uri_is_told_nobody(bench: Bench) -> None:
    ended = bench.create(
        fake_qemu.good(), DISK_0_URI="rbd:pool/image:key=canary-7f3a-secret", DEBUG_LEVEL="5", DISK_0_SIZE="16"
    )
    assert ended.code == 0 and "canary" not in ended.log


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_failed_task(bench: Bench, server: Server) -> None:
    ended = bench.create(fake_qemu.failing("password", "E-USER"), **uri_only(server))
    failed(ended, "E-USER")
    assert bench.head_is_empty() and "holds no system now" in ended.log


@pytest.mark.timed
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_while_the_helper_works(bench: Bench, server: Server, number: signal.Signals) -> None:
    since = time.monotonic()
    started = [fake_qemu.HELLO, ["wait-go"], ["hang"]]
    process = bench.start(started, "create", DISK_0_PATH="", DISK_0_URI=server.uri)
    assert wait_for(lambda: bench.disk.read_bytes()[:17] == b"head of the image")
    process.send_signal(number)
    ended = bench.finish(process, since)
    assert wait_for(bench.head_is_empty), "the guard wipes what nobody else can"
    assert wait_for(lambda: not bench.qemus() and not nbd_server.brokers())
    if number is signal.SIGTERM:
        failed(ended, "E-INTERRUPTED")
    # and over again, with the same storage
    assert bench.create(fake_qemu.good(), **uri_only(server)).code == 0
    assert bench.is_deployed()


@pytest.mark.parametrize("how", ["goes away", "hangs"])
def test_a_server_that_fails_while_the_image_is_written(bench: Bench, server: Server, how: str) -> None:
    number = signal.SIGKILL if how == "goes away" else signal.SIGSTOP
    bench.prelude += WHILE_WRITING.format(pid=server.process.pid, number=int(number))
    ended = bench.create([fake_qemu.HELLO, ["hang"]], **uri_only(server))
    failed(ended, "E-DISK-IO", within=25)
    assert "look at its server" in ended.last
    server.resume()
    assert bench.head_is_empty()


@pytest.mark.timed
def test_a_broker_that_dies(bench: Bench, server: Server) -> None:
    bench.prelude += WHILE_WRITING.format(pid="disk._broker.pid", number=int(signal.SIGKILL))
    ended = bench.create([fake_qemu.HELLO, ["hang"]], **uri_only(server))
    failed(ended, "E-DISK-IO")
    assert bench.head_is_empty()


@pytest.mark.timed
def test_a_signal_while_the_server_hangs(bench: Bench, server: Server) -> None:
    bench.prelude = bench.prelude.replace("2.0", "60.0")
    bench.prelude += WHILE_WRITING.format(pid=server.process.pid, number=int(signal.SIGSTOP))
    process = bench.start([fake_qemu.HELLO, ["hang"]], "create", DISK_0_PATH="", DISK_0_URI=server.uri)
    stopped = Path(f"/proc/{server.process.pid}/stat")
    assert wait_for(lambda: ") T " in stopped.read_text())
    time.sleep(0.3)
    since = time.monotonic()
    process.send_signal(signal.SIGTERM)
    failed(bench.finish(process, since), "E-INTERRUPTED", within=6)
    server.resume()
    assert bench.head_is_empty()


# --- export and import ------------------------------------------------------------------------------------------------


def test_export_and_import(bench: Bench, server: Server, tmp_path: Path) -> None:
    content = bench.disk.read_bytes()
    facts = calling.environment(calling.Disk("", DISK_SIZE)) | {"EXPORT_INDEX": "0", "IMPORT_INDEX": "0"}
    facts |= {"EXPORT_DISK_URI": server.uri}
    code, log, stream = _transferred("export", facts, b"", tmp_path)
    assert code == 0, log
    assert stream == content
    with _new(tmp_path / "other") as other:
        code, log, _ = _transferred("import", facts | {"IMPORT_DISK_URI": other.uri}, stream, tmp_path)
        assert code == 0, log
        assert other.file.read_bytes() == content
        truncated = calling.environment(calling.Disk("", DISK_SIZE)) | {"IMPORT_INDEX": "0"}
        code, log, _ = _transferred("import", truncated | {"IMPORT_DISK_URI": "nbd://h/?x=1"}, stream, tmp_path)
        assert code == 1 and "E-ENVIRONMENT: IMPORT_DISK_URI has other options" in log


def _new(path: Path) -> Server:
    path.write_bytes(bytes(DISK_SIZE))
    return Server(path)


def _transferred(script: str, facts: dict[str, str], stdin: bytes, folder: Path) -> tuple[int, str, bytes]:
    lines = [
        f"import sys; sys.path[:0] = {[os.path.join(calling.REPOSITORY, part) for part in ('host', 'helper')]!r}",
        f"from helper_host import paths; paths.SETTINGS = {str(folder / 'none')!r}",
        f"from helper_host.commands.main import main; main({script!r})",
    ]
    argv = [sys.executable, "-I", "-c", "\n".join(lines)]
    ended = subprocess.run(argv, check=False, input=stdin, capture_output=True, env=facts, timeout=60)
    return ended.returncode, ended.stderr.decode(), ended.stdout
