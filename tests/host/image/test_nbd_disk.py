"""Disks that have only a URI: real qemu-nbd as storage, a real broker, and what both may do wrong"""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.disk import HEAD, TAIL, open_disk, wipe_head
from helper_host.image.nbd import broker as brokers
from helper_host.image.nbd.client import Connection
from helper_host.image.nbd.disk import NbdDisk, open_volume
from helper_host.image.nbd.uri import parse
from helper_host.image.stream import import_stream
from helper_host.image.writer import Writer
from helper_host.vm.drive import Kind
from tests import calling
from tests.host.image import nbd_server
from tests.host.image.conftest import Opener, deploy, new_disk, quiet
from tests.host.image.nbd_server import Server

pytestmark = pytest.mark.programs
MIB = 1 << 20
OLD = b"what was there before "


def old_disk(path: Path, size: int) -> Path:
    path.write_bytes((OLD * (size // len(OLD) + 1))[:size])
    return path


def opened_at(uri: str, size: int, *, silence: float = 20, writable: bool = True) -> NbdDisk:
    return open_volume(parse(uri, "DISK_0_URI"), size, writable=writable, confined=os.geteuid() == 0, silence=silence)


def sparse_image(size: int, seed: int) -> bytes:
    """Data of odd lengths at odd places, zeros between"""
    chance = random.Random(seed)
    content = bytearray(size)
    for _ in range(40):
        start, length = chance.randrange(size), chance.choice([1, 511, 4096, 70_001, 900_000])
        content[start : start + length] = chance.randbytes(min(length, size - start))
    content[:8], content[-8:] = b"the head", b"the tail"
    return bytes(content)


@pytest.fixture(autouse=True)
def no_broker_is_left() -> None:
    assert nbd_server.brokers() == []


# --- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clear_rest", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_a_writer_leaves_the_same_as_on_a_file(opened: Opener, tmp_path: Path, old: bool, clear_rest: bool) -> None:
    size = 24 * MIB
    image = opened(sparse_image(17 * MIB + 512, seed=7))
    make = old_disk if old else new_disk
    local = make(tmp_path / "local", size)
    deploy(image, local, clear_rest=clear_rest)
    file = make(tmp_path / "remote", size)
    with Server(file) as server:
        with opened_at(server.uri, size) as disk:
            writer = Writer(image, disk, clear_rest=clear_rest)
            writer.write(quiet, threading.Event())
            assert not any(file.read_bytes()[:HEAD]), "the head is the last to come"
            tail = file.read_bytes()[17 * MIB + 512 - TAIL : 17 * MIB + 512]
            assert b"the tail" not in tail
            writer.write_head()
        assert file.read_bytes() == local.read_bytes()
    assert nbd_server.brokers() == []
    if clear_rest:
        assert file.stat().st_blocks * 512 < 20 * MIB, "zeros are given back to the storage"


@pytest.mark.parametrize(
    ("tcp", "form"),
    [
        (True, "nbd://127.0.0.1:{port}/disk-7"),
        (True, "nbd://localhost:{port}/disk-7"),
        (True, "nbd:127.0.0.1:{port}:exportname=disk-7"),
        (False, "nbd+unix:///disk-7?socket={socket}"),
        (False, "nbd:unix:{socket}:exportname=disk-7"),
    ],
)
def test_every_form_of_uri_leads_where_qemu_goes(tmp_path: Path, tcp: bool, form: str) -> None:
    file = new_disk(tmp_path / "disk", MIB)
    with Server(file, export="disk-7", tcp=tcp) as server:
        uri = form.format(port=server.port, socket=server.socket)
        with opened_at(uri, MIB) as disk:
            disk.write(b"written by us", 1000)
            disk.sync()
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "raw", uri, tmp_path / "copy"], check=True)
    assert (tmp_path / "copy").read_bytes()[1000:1013] == b"written by us"


def test_a_storage_without_a_quick_way_to_zeros(opened: Opener, tmp_path: Path) -> None:
    """An export of a node that knows nothing but reading and writing"""
    file, size = old_disk(tmp_path / "disk", 8 * MIB), 8 * MIB
    image = opened(sparse_image(5 * MIB, seed=3))
    argv = ["qemu-storage-daemon", "--nbd-server", f"addr.type=unix,addr.path={tmp_path}/slow"]
    argv += [
        "--blockdev",
        f"driver=file,node-name=f,filename={file}",
        "--blockdev",
        "driver=blkdebug,node-name=d,image=f,opt-write-zero=0,max-write-zero=512,align=512",
    ]
    argv += ["--export", "type=nbd,id=e,node-name=d,name=,writable=on"]
    with subprocess.Popen(argv) as storage:
        while not (tmp_path / "slow").exists():
            time.sleep(0.02)
        with opened_at(f"nbd+unix:///?socket={tmp_path}/slow", size) as disk:
            writer = Writer(image, disk)
            writer.write(quiet, threading.Event())
            writer.write_head()
        storage.kill()
    assert file.read_bytes() == sparse_image(5 * MIB, seed=3) + bytes(3 * MIB)


def test_an_import(tmp_path: Path) -> None:
    content = sparse_image(6 * MIB, seed=1)
    (tmp_path / "stream").write_bytes(content)
    file = old_disk(tmp_path / "disk", 8 * MIB)
    with Server(file) as server, opened_at(server.uri, 8 * MIB) as disk, (tmp_path / "stream").open("rb") as stream:
        import_stream(stream.fileno(), disk, quiet, threading.Event())
    assert file.read_bytes() == content + bytes(2 * MIB)


def test_reading(tmp_path: Path) -> None:
    content = sparse_image(9 * MIB + 512, seed=2)
    file = tmp_path / "disk"
    file.write_bytes(content)
    with Server(file) as server, opened_at(server.uri, 0, writable=False) as disk:
        assert disk.size == len(content)
        assert b"".join(bytes(piece) for piece in disk.pieces(MIB)) == content


def test_what_a_disk_can_not_do(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB)) as server, opened_at(server.uri, MIB) as disk:
        assert not disk.is_empty()
        disk.start_writeback()
        with pytest.raises(OSError, match="not supported"):
            disk.share(0, 0, 4096)
        with pytest.raises(ProviderError, match="E-INTERRUPTED"):
            disk.clear(MIB, _stop)
        disk.close()
        disk.close()


def _stop() -> None:
    raise ProviderError("E-INTERRUPTED", "enough", "none")


# --- what can be refused is refused -----------------------------------------------------------------------------------


def refused(uri: str, size: int = MIB) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        opened_at(uri, size)
    assert nbd_server.brokers() == []
    return caught.value


def test_no_server(tmp_path: Path) -> None:
    error = refused(f"nbd+unix:///?socket={tmp_path}/none")
    assert error.code == "E-DISK-IO" and f"socket={tmp_path}/none can't be opened (" in error.cause


def test_a_server_that_hears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "OPEN_SECONDS", 1.0)
    with Server(new_disk(tmp_path / "disk", MIB)) as server:
        server.pause()
        error = refused(server.uri)
    assert error.code == "E-DISK-IO" and "no answer for 1 s" in error.cause


def test_no_such_export(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB), export="one") as server:
        error = refused(server.uri.replace("one", "two"))
    assert error.code == "E-DISK-IO" and "two" in error.cause


def test_a_read_only_server(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB), options=("--read-only",)) as server:
        error = refused(server.uri)
        assert error.code == "E-DISK-IO" and "lets this node write" in error.remedy
        opened_at(server.uri, MIB, writable=False).close()


def test_a_disk_that_is_smaller_than_ganeti_says(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB)) as server:
        error = refused(server.uri, 2 * MIB)
    assert error.code == "E-DISK-IO" and "1048576 bytes and Ganeti says 2097152" in error.cause


def test_a_larger_one_will_do(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", 2 * MIB)) as server, opened_at(server.uri, MIB) as disk:
        assert disk.size == MIB


def test_no_broker_on_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "PROGRAM", str(tmp_path / "none"))
    error = refused("nbd://127.0.0.1/")
    assert error.code == "E-NODE" and "qemu-system-common" in error.remedy


def test_a_broker_that_can_not_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program").write_text("not a program")
    monkeypatch.setattr(brokers, "PROGRAM", str(tmp_path / "program"))
    assert refused("nbd://127.0.0.1/").code == "E-NODE"


def test_a_broker_that_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brokers, "PROGRAM", "/bin/false")
    assert "the broker has ended" in refused("nbd://127.0.0.1/").cause


@pytest.mark.parametrize("said", [b"no JSON\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b"1" * 10_000 + b"\n"])
def test_a_broker_that_talks_nonsense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    (tmp_path / "said").write_bytes(said)
    ours, theirs = socket.socketpair()
    started: list[subprocess.Popen[bytes]] = []

    def start(broker: brokers.Broker, _fds: object, _stderr: int, *, confined: bool) -> subprocess.Popen[bytes]:
        broker._monitor.close()
        broker._monitor = ours
        started.append(subprocess.Popen(["cat", str(tmp_path / "said")], stdout=theirs.fileno()))
        return started[0]

    monkeypatch.setattr(brokers.Broker, "_start", start)
    error = refused("nbd://127.0.0.1/")
    assert (error.code, "talks nonsense" in error.cause) == ("E-DISK-IO", True)
    theirs.close()


# --- what goes wrong later --------------------------------------------------------------------------------------------


def test_a_server_that_goes_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from helper_host.image.nbd import uri

    monkeypatch.setattr(uri, "RECONNECT_SECONDS", 1)
    with Server(new_disk(tmp_path / "disk", 64 * MIB)) as server, opened_at(server.uri, 64 * MIB) as disk:
        disk.write(bytes(MIB), 0)
        disk.sync()
        server.end()
        with pytest.raises(OSError, match=r"\w") as caught:
            _write_and_sync(disk, 64)
        error = disk.failure(caught.value)
        assert error.code == "E-DISK-IO" and "look at its server" in error.remedy


def test_a_server_that_comes_back_in_time(tmp_path: Path) -> None:
    file = new_disk(tmp_path / "disk", 8 * MIB)
    with Server(file, tcp=True) as server, opened_at(server.uri, 8 * MIB) as disk:
        server.end()
        with Server(file, port=server.port):
            disk.write(b"again", 0)
            disk.sync()
    assert file.read_bytes()[:5] == b"again"


def test_a_server_that_stops_answering(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", 64 * MIB)) as server, opened_at(server.uri, 64 * MIB, silence=1) as disk:
        server.pause()
        started = time.monotonic()
        with pytest.raises(OSError, match="no answer for 1 s") as caught:
            _write_and_sync(disk, 64)
        assert caught.value.errno == errno.ETIMEDOUT and time.monotonic() - started < 5
        assert "no answer for 1 s" in disk.failure(caught.value).cause
        disk.close()
        assert time.monotonic() - started < 6 and nbd_server.brokers() == []


def test_a_full_storage(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB)) as server, opened_at(server.uri, MIB) as disk:
        error = disk.failure(OSError(errno.ENOSPC, "No space left"))
        assert error.code == "E-DISK-IO" and "is full" in error.cause


def test_a_broker_that_is_killed(tmp_path: Path) -> None:
    file = old_disk(tmp_path / "disk", 8 * MIB)
    with Server(file) as server, opened_at(server.uri, 8 * MIB) as disk:
        (broker,) = nbd_server.brokers()
        os.kill(broker, signal.SIGKILL)
        with pytest.raises(OSError, match="closed"):
            _write_and_sync(disk, 8)
        disk.revive()
        wipe_head(disk)
        (another,) = nbd_server.brokers()
        assert another != broker
        assert not any(file.read_bytes()[:HEAD])


def _write_and_sync(disk: NbdDisk, mib: int) -> None:
    for number in range(mib):
        disk.write(bytes(MIB), number * MIB)
    disk.sync()


def test_who_waits_is_interrupted(tmp_path: Path) -> None:
    with Server(old_disk(tmp_path / "disk", 64 * MIB)) as server, opened_at(server.uri, 64 * MIB) as disk:
        server.pause()
        threading.Timer(0.3, disk.interrupt).start()
        started = time.monotonic()
        with pytest.raises(OSError, match="closed"):
            _write_and_sync(disk, 64)
        assert time.monotonic() - started < 3
        server.resume()
        disk.revive()
        disk.write(b"and again", 0)
        disk.sync()
        assert server.file.read_bytes()[:9] == b"and again"


def test_a_forked_process_has_a_broker_of_its_own(tmp_path: Path) -> None:
    file = old_disk(tmp_path / "disk", 8 * MIB)
    with Server(file) as server, opened_at(server.uri, 8 * MIB) as disk:
        (broker,) = nbd_server.brokers()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                disk.revive()
                wipe_head(disk)
                disk.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not any(file.read_bytes()[:HEAD])
        with pytest.raises(OSError, match="closed"):
            _write_and_sync(disk, 8)
        assert not os.path.exists(f"/proc/{broker}/exe"), "two at once could write over each other"


PARENT = """
import sys, time
from helper_host.image.nbd.disk import open_volume
from helper_host.image.nbd.uri import parse
disk = open_volume(parse(sys.argv[1], "X"), 1 << 20, confined=sys.argv[2] == "0")
print(disk._broker.pid, flush=True)
time.sleep(60)
"""


def test_the_broker_dies_with_us(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB)) as server:
        path = os.pathsep.join(os.path.join(calling.REPOSITORY, part) for part in ("host", "helper"))
        argv = [sys.executable, "-c", PARENT, server.uri, str(os.geteuid())]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env={"PYTHONPATH": path}) as parent:
            assert parent.stdout is not None
            broker = int(parent.stdout.readline())
            assert os.path.exists(f"/proc/{broker}/exe")
            parent.kill()
        assert _gone(broker)


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not os.path.exists(f"/proc/{pid}/exe"):
            return True
        time.sleep(0.02)
    return False


# --- what the broker is -----------------------------------------------------------------------------------------------


def test_each_start_of_a_vm_gets_a_connection_of_its_own(tmp_path: Path) -> None:
    import socket

    with Server(new_disk(tmp_path / "disk", MIB)) as server, opened_at(server.uri, MIB) as disk:
        first, second = disk.attach(), disk.attach()
        assert first.kind is Kind.NBD and not first.read_only and first.descriptor != second.descriptor
        for attached in (first, second):
            assert stat.S_ISSOCK(os.fstat(attached.descriptor).st_mode)
            connection = Connection(socket.socket(fileno=attached.descriptor))
            assert connection.size == MIB
            connection.write(memoryview(b"by the vm"), 100)
            connection.flush()
            connection.close()
        disk.sync()
    assert server.file.read_bytes()[100:109] == b"by the vm"


def test_a_read_only_disk_takes_no_writes(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB)) as server, opened_at(server.uri, MIB, writable=False) as disk:
        assert disk.attach().read_only
        disk.write(b"x", 0)
        with pytest.raises(OSError, match=r"not permitted|Invalid"):
            disk.sync()
    assert not any(server.file.read_bytes())


def test_neither_uri_nor_key_is_in_an_argument(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB), export="canary") as server:
        volume = parse(server.uri, "X")._replace(secret="canary-key")
        with open_volume(volume, MIB, confined=os.geteuid() == 0):
            (broker,) = nbd_server.brokers()
            for name in ("cmdline", "environ"):
                assert b"canary" not in Path(f"/proc/{broker}/{name}").read_bytes()


def test_a_key_is_not_in_an_error(tmp_path: Path) -> None:
    volume = parse(f"nbd+unix:///canary-key?socket={tmp_path}/none", "X")._replace(
        secret="canary-key",
        shown="disk",
    )
    with pytest.raises(ProviderError) as caught:
        open_volume(volume, MIB, confined=os.geteuid() == 0)
    assert "canary" not in str(caught.value)


@pytest.mark.root
def test_the_broker_is_confined(tmp_path: Path) -> None:
    with Server(new_disk(tmp_path / "disk", MIB)) as server, opened_at(server.uri, MIB):
        (pid,) = nbd_server.brokers()
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        uid = str(2_020_000_000 + pid)
        assert status["Uid"].split() == status["Gid"].split() == [uid] * 4 and status["Groups"].strip() == ""
        # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE
        assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapInh")} == {
            1 << 1 | 1 << 2 | 1 << 10
        }
        assert status["NoNewPrivs"] == "1"
        root = f"/proc/{pid}/root"
        assert not {"root", "home", "var", "sys", "boot", "srv"} & set(os.listdir(root))
        assert set(os.listdir(f"{root}/dev")) == {"null", "random", "urandom"}
        assert not {"shadow", "passwd", "ganeti", "ssh"} & set(os.listdir(f"{root}/etc"))
        mounts = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines()]
        assert [fields[4] for fields in mounts if "ro" not in fields[5].split(",")] == ["/proc"]
        (proc,) = [fields for fields in mounts if fields[4] == "/proc"]
        assert "hidepid=invisible" in proc[-1] and "subset=pid" in proc[-1], "it sees itself, and nobody else"
        assert os.path.samefile(f"/proc/{pid}/ns/net", "/proc/self/ns/net"), "it has the storage to reach"
        descriptors = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
        assert not {name for name in descriptors if name.startswith("/") and name != "/dev/null"}


@pytest.mark.root
@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("rbd:pool/image", "error connecting"),
        ("gluster://127.0.0.1:1/volume/path", "Gluster connection for volume volume, path path failed to connect"),
        ("iscsi://user%canary@127.0.0.1:1/iqn.2001-05.org.example:x/1", "Failed to connect to LUN"),
    ],
)
def test_other_storages_drivers_come_as_far_as_the_network(uri: str, said: str) -> None:
    """With Debian's qemu-block-extra: none of them lacks anything in the cage to load, to start, and to look for it"""
    error = refused(uri)
    assert error.code == "E-DISK-IO" and said in error.cause and "canary" not in str(error)


def test_nobody_finds_the_brokers_socket(tmp_path: Path) -> None:
    before = set(os.listdir("/tmp"))
    with Server(new_disk(tmp_path / "disk", MIB)) as server, opened_at(server.uri, MIB):
        assert not [name for name in set(os.listdir("/tmp")) - before if name.startswith("helper-disk-")]


def test_a_local_disk_needs_no_revival(tmp_path: Path) -> None:
    with open_disk(str(new_disk(tmp_path / "disk", MIB)), MIB) as disk:
        disk.interrupt()
        disk.revive()
        disk.write(b"x", 0)
