"""A whole `create` in a process of its own: real disk, real jail, and a scripted QEMU that does what a VM may do

Whatever happens: a non-zero exit with one last line `E-CODE: cause; what to do`, within its time, and no process, run
file or secret left behind; a disk that isn't finished doesn't look finished, and one that wasn't touched is as before.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import calling
from tests.host.manifests import manifest
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

MIB = 1 << 20
DISK_SIZE = 16 * MIB
OLD = b"what the instance had before "
CANARY = "canary-7f3a-secret"
SCRIPTED = """
# the scripted QEMU is a Python program: it needs more of /usr than the real one
import functools
from helper_host import deployment
deployment.MachineSpec = functools.partial(deployment.MachineSpec, system=("/usr",))
"""


SIGNAL_WHILE_WIPING = """
import os, signal
from helper_host import target
def wipe(disk, wipe=target.wipe_head):
    os.kill(os.getpid(), signal.SIGTERM)
    wipe(disk)
target.wipe_head = wipe
"""
SIGNAL_WHEN_DONE = """
import os, signal
from helper_host.target import Target
Target.finish = lambda target, finish=Target.finish: (os.kill(os.getpid(), signal.SIGTERM), finish(target))
"""
NO_WIPING = """
from helper_host import target
from helper_host.errors import ProviderError
def wipe(disk):
    raise ProviderError("E-DISK-IO", "no", "no")
target.wipe_head = wipe
"""


class Ended(NamedTuple):
    """How a create ended"""

    code: int
    log: str
    seconds: float

    @property
    def last(self) -> str:
        return self.log.rstrip().splitlines()[-1]


class Bench:
    """A node of its own in a folder: settings, run folder, helper image, an image and a disk with old content"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = folder / "images" / "system.raw"
        self.image.parent.mkdir(parents=True)
        content = b"head of the image" + bytes(MIB) + b"body " * 100_000
        self.image.write_bytes(content + bytes(8 * MIB - len(content)))
        self.disk = folder / "disk"
        self.disk.write_bytes((OLD * (DISK_SIZE // len(OLD) + 1))[:DISK_SIZE])
        self.helper = folder / "helper"
        self._make_helper_image()
        self.settings: dict[str, Any] = {"accel": "tcg", "hello_timeout_tcg": 20}
        self.parameters = {"image": str(self.image), "password": CANARY}
        self.prelude = SCRIPTED

    def _make_helper_image(self) -> None:
        self.helper.mkdir()
        files = {name: name.encode() * 5000 for name in ("vmlinuz", "initrd.img", "root.erofs")}
        for name, content in files.items():
            (self.helper / name).write_bytes(content)
        (self.helper / "manifest.json").write_text(json.dumps(manifest(files)))
        for part in [self.folder, *self.folder.parents]:
            if part == Path("/tmp"):
                break
            part.chmod(0o755)

    def start(self, scenario: list[Any], **variables: str) -> subprocess.Popen[bytes]:
        settings = {
            "qemu": fake_qemu.program(self.folder, scenario),
            "run_folder": str(self.folder / "run"),
            "helper_image": str(self.helper),
            "image_folders": [str(self.image.parent)],
            **self.settings,
        }
        facts = calling.environment(calling.Disk(str(self.disk), DISK_SIZE), **self.parameters) | variables
        return calling.start("create", facts, str(self.folder / "settings"), prelude=self.prelude, **settings)

    def finish(self, process: subprocess.Popen[bytes], since: float) -> Ended:
        output, _ = process.communicate(timeout=60)
        return Ended(process.returncode, output.decode(), time.monotonic() - since)

    def create(self, scenario: list[Any], **variables: str) -> Ended:
        since = time.monotonic()
        return self.finish(self.start(scenario, **variables), since)

    def qemus(self) -> list[int]:
        """Process ids of the scripted QEMU"""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if str(self.folder / "fake-qemu").encode() in command:
                found.append(int(name))
        return found

    def head_is_empty(self) -> bool:
        return not any(self.disk.read_bytes()[:MIB])

    def is_old(self) -> bool:
        return self.disk.read_bytes() == (OLD * (DISK_SIZE // len(OLD) + 1))[:DISK_SIZE]

    def is_deployed(self) -> bool:
        image = self.image.read_bytes()
        return self.disk.read_bytes() == image + bytes(DISK_SIZE - len(image))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    assert bench.qemus() == [], "no QEMU may outlive its create"
    runs = bench.folder / "run"
    assert not runs.exists() or not [name for name in os.listdir(runs) if name.endswith(".run")]


def failed(ended: Ended, code: str, *, within: float = 15.0) -> None:
    """A failure as an administrator wants it"""
    assert ended.code == 1, ended.log
    assert ended.last.startswith(f"{code}: "), ended.log
    assert "; " in ended.last
    assert "Traceback" not in ended.log
    assert CANARY not in ended.log
    assert "$y$" not in ended.log
    assert "PRIVATE KEY" not in ended.log
    assert ended.seconds < within


def wait_for(what: Any, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.05)
    return False


# --- success ----------------------------------------------------------------------------------------------------------


def test_a_deployment_that_goes_well(bench: Bench) -> None:
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed(), "nothing of the old content is left, behind the image neither"
    assert "timeline" in ended.log
    assert "hostname" in ended.log
    assert "SSH host key ED25519 SHA256:" in ended.log
    assert CANARY not in ended.log


def test_the_guest_can_write_to_the_disk(bench: Bench) -> None:
    steps = fake_qemu.good()
    steps.insert(3, ["write", 0, 8 * MIB, "written by the guest"])
    ended = bench.create(steps)
    assert ended.code == 0, ended.log
    assert b"written by the guest" in bench.disk.read_bytes()[8 * MIB :]


def test_the_image_is_complete_before_the_guest_may_begin(bench: Bench) -> None:
    seen = [["wait-go"], ["write", 0, 9 * MIB, "after go"]]
    ended = bench.create([fake_qemu.HELLO, *seen, *fake_qemu.good()[2:]])
    assert ended.code == 0, ended.log
    assert b"after go" in bench.disk.read_bytes()


# --- what can be refused is refused before the first write ------------------------------------------------------------


def test_an_image_larger_than_the_disk(bench: Bench) -> None:
    os.truncate(bench.image, 17 * MIB)
    failed(bench.create(fake_qemu.good()), "E-DISK-SMALL")
    assert bench.is_old()


def test_a_wrong_checksum(bench: Bench) -> None:
    bench.parameters["image_checksum"] = "sha256:" + "0" * 64
    ended = bench.create([fake_qemu.HELLO, ["hang"]])
    failed(ended, "E-IMAGE-CHECKSUM")
    assert bench.is_old()
    assert "was not touched" in ended.log


def test_the_right_checksum(bench: Bench) -> None:
    digest = hashlib.sha256(bench.image.read_bytes()).hexdigest()
    bench.parameters["image_checksum"] = f"sha256:{digest}"
    assert bench.create(fake_qemu.good()).code == 0


def test_a_damaged_helper_image(bench: Bench) -> None:
    root = bench.helper / "root.erofs"
    root.write_bytes(root.read_bytes().replace(b"root", b"rooT", 1))
    failed(bench.create([fake_qemu.HELLO, ["hang"]]), "E-HELPER-IMAGE")


def test_no_helper_image(bench: Bench) -> None:
    bench.settings["helper_image"] = str(bench.folder / "nowhere")
    failed(bench.create(fake_qemu.good()), "E-HELPER-IMAGE")
    assert bench.is_old()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("image", "missing", "E-IMAGE-MISSING"),
        ("image", "/etc/shadow", "E-IMAGE-MISSING"),
        ("users", "no such:user", "E-PARAMETER"),
        ("hostname", "-bad-", "E-PARAMETER"),
        ("skip_tasks", "no-such-task", "E-PARAMETER"),
    ],
)
def test_a_wrong_parameter(bench: Bench, name: str, value: str, code: str) -> None:
    bench.parameters[name] = value
    ended = bench.create(fake_qemu.good())
    failed(ended, code, within=5)
    assert bench.is_old()


# --- what a VM may do -------------------------------------------------------------------------------------------------


def test_a_failed_task(bench: Bench) -> None:
    ended = bench.create(fake_qemu.failing("password", "E-USER"))
    failed(ended, "E-USER")
    assert "It went wrong" in ended.last
    assert "mend it" in ended.last
    assert "no such file" in ended.log
    assert bench.head_is_empty()


def test_a_vm_that_dies_before_hello_is_started_three_times(bench: Bench) -> None:
    ended = bench.create([["console", "oops\n"], ["exit", 0]])
    failed(ended, "E-VM-DIED")
    assert ended.log.count("starting it again") == 2
    assert "console: oops" in ended.log
    assert bench.head_is_empty(), "the head is written only when a helper is there to use it"


def test_a_vm_that_never_says_hello(bench: Bench) -> None:
    bench.settings["hello_timeout_tcg"] = 0.5
    failed(bench.create([["hang"]]), "E-VM-SILENT")


def test_a_vm_that_falls_silent(bench: Bench) -> None:
    bench.settings |= {"silence_timeout": 0.5, "total_timeout_per_gib": 0.001}
    failed(bench.create([fake_qemu.HELLO, ["wait-go"], ["hang"]]), "E-VM-SILENT")
    assert bench.head_is_empty()


def test_a_vm_that_takes_too_long(bench: Bench) -> None:
    bench.settings |= {"total_timeout": 3, "total_timeout_per_gib": 0.001}
    drip: list[Any] = ["say", {"type": "log", "level": "info", "step": "", "message": "still here", "t": 2.0}]
    chatter = [step for _ in range(200) for step in (drip, ["sleep", 0.1])]
    failed(bench.create([fake_qemu.HELLO, ["wait-go"], *chatter]), "E-VM-TIMEOUT")
    assert bench.head_is_empty()


def test_a_vm_that_floods(bench: Bench) -> None:
    ended = bench.create([fake_qemu.HELLO, ["flood", 400 * MIB], ["hang"]])
    failed(ended, "E-VM-PROTOCOL", within=6)


@pytest.mark.parametrize("where", ["console", "stderr"])
def test_a_vm_that_floods_beside_the_port(bench: Bench, where: str) -> None:
    bench.settings["keep_console"] = True
    lines = "\n" * 100_000
    ended = bench.create([fake_qemu.HELLO, *([where, lines] for _ in range(50)), ["hang"]])
    failed(ended, "E-VM-PROTOCOL", within=12)
    assert len(ended.log) < 4 * MIB


def test_a_vm_that_replays_another_runs_success(bench: Bench) -> None:
    lie = [step if step != fake_qemu.result() else fake_qemu.result(nonce="0" * 32) for step in fake_qemu.good()]
    failed(bench.create(lie), "E-VM-PROTOCOL")
    assert bench.head_is_empty()


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param([["exit", 0]], id="no clean shutdown"),
        pytest.param([fake_qemu.SHUTDOWN, ["exit", 1]], id="exit code"),
        pytest.param([fake_qemu.SHUTDOWN, ["signal", 9]], id="killed"),
        pytest.param([["qmp", "SHUTDOWN", {"guest": True, "reason": "guest-reset"}], ["exit", 0]], id="reset"),
        pytest.param(
            [
                [
                    "qmp",
                    "BLOCK_IO_ERROR",
                    {"node-name": "drive-2", "operation": "write", "action": "report", "nospace": True, "reason": "x"},
                ],
                fake_qemu.SHUTDOWN,
                ["exit", 0],
            ],
            id="I/O error",
        ),
    ],
)
def test_success_is_not_taken_at_its_word(bench: Bench, lie: list[Any]) -> None:
    ended = bench.create([*fake_qemu.good()[:-2], *lie])
    assert ended.code == 1
    assert ended.last.startswith(("E-VM-", "E-DISK-IO"))
    assert bench.head_is_empty()


def test_what_a_guest_says_cannot_forge_the_log(bench: Bench) -> None:
    steps = fake_qemu.good()
    evil = "fine\n12:00:00 installing all is well\x1b]0;title\x07\r\u202e"
    steps.insert(3, ["say", {"type": "log", "level": "warning", "step": "x", "message": evil, "t": 1.6}])
    ended = bench.create(steps)
    assert ended.code == 0, ended.log
    assert "\x1b" not in ended.log
    assert "\u202e" not in ended.log
    assert not [line for line in ended.log.splitlines() if line.startswith("12:00:00")]


def test_customising_what_is_there_never_wipes(bench: Bench) -> None:
    bench.parameters["image"] = "none"
    ended = bench.create(fake_qemu.failing("hostname"))
    failed(ended, "E-TASK")
    assert bench.is_old()
    assert "may be half changed" in ended.log


def test_a_data_disk_that_is_read_only_stays_as_it_is(bench: Bench) -> None:
    data = bench.folder / "data"
    data.write_bytes(b"d" * MIB)
    more = {"DISK_COUNT": "2", "DISK_1_PATH": str(data), "DISK_1_SIZE": "1", "DISK_1_ACCESS": "ro"}
    steps = fake_qemu.good()
    steps[3:3] = [["write", 1, 0, "written by the guest"], ["write", 0, 9 * MIB, "mark"]]
    ended = bench.create(steps, **more)
    assert ended.code == 0, ended.log
    assert b"mark" in bench.disk.read_bytes()
    assert data.read_bytes() == b"d" * MIB


# --- signals and neighbours -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("moment", ["before hello", "after go"])
def test_a_signal_ends_it_within_a_second(bench: Bench, number: signal.Signals, moment: str) -> None:
    said = [] if moment == "before hello" else [fake_qemu.HELLO, ["wait-go"], ["write", 0, 9 * MIB, "mark"]]
    process = bench.start([*said, ["hang"]])
    if said:
        assert wait_for(lambda: b"mark" in bench.disk.read_bytes())
    else:
        assert wait_for(bench.qemus)
    since = time.monotonic()
    os.kill(process.pid, number)
    ended = bench.finish(process, since)
    failed(ended, "E-INTERRUPTED", within=1.5)
    assert number.name in ended.last
    assert "disk" in ended.log.splitlines()[-2], "what state the disk is in"
    assert bench.head_is_empty() or bench.is_old()


def test_a_signal_does_not_keep_a_failure_from_wiping(bench: Bench) -> None:
    bench.prelude += SIGNAL_WHILE_WIPING
    ended = bench.create(fake_qemu.failing("hostname"))
    failed(ended, "E-TASK")
    assert bench.head_is_empty()
    assert "could not be wiped" not in ended.log


def test_a_signal_after_the_last_step_comes_too_late(bench: Bench) -> None:
    bench.prelude += SIGNAL_WHEN_DONE
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed()


def test_what_could_not_be_wiped_is_wiped_by_the_guard(bench: Bench) -> None:
    bench.prelude += NO_WIPING
    ended = bench.create(fake_qemu.failing("hostname"))
    failed(ended, "E-TASK")
    assert "may look finished" in ended.log
    assert bench.head_is_empty()


def test_kill_leaves_no_qemu_and_no_disk_that_boots(bench: Bench) -> None:
    process = bench.start([fake_qemu.HELLO, ["wait-go"], ["write", 0, 9 * MIB, "mark"], ["hang"]])
    assert wait_for(lambda: b"mark" in bench.disk.read_bytes())
    assert not bench.head_is_empty()
    process.kill()
    process.wait()
    assert wait_for(lambda: not bench.qemus())
    assert wait_for(bench.head_is_empty), "the guard wipes what the killed create could not"
    again = bench.create(fake_qemu.good())
    assert again.code == 0, again.log
    assert bench.is_deployed()
    assert "died without cleaning up" in again.log


def test_the_same_instance_twice(bench: Bench) -> None:
    first = bench.start([fake_qemu.HELLO, ["wait-go"], ["write", 0, 9 * MIB, "mark"], ["hang"]])
    assert wait_for(lambda: b"mark" in bench.disk.read_bytes())
    since = time.monotonic()
    failed(bench.finish(bench.start(fake_qemu.good()), since), "E-BUSY")
    first.terminate()
    first.communicate()


def test_two_instances_and_one_disk(bench: Bench) -> None:
    first = bench.start([fake_qemu.HELLO, ["wait-go"], ["write", 0, 9 * MIB, "mark"], ["hang"]])
    assert wait_for(lambda: b"mark" in bench.disk.read_bytes())
    since = time.monotonic()
    second = bench.start(fake_qemu.good(), INSTANCE_NAME="other.example.org")
    failed(bench.finish(second, since), "E-DISK-BUSY")
    first.terminate()
    first.communicate()


def test_no_secret_reaches_a_childs_environment_or_command_line(bench: Bench) -> None:
    process = bench.start([fake_qemu.HELLO, ["wait-go"], ["hang"]])
    assert wait_for(bench.qemus)
    time.sleep(0.3)
    for pid in bench.qemus():
        for name in ("environ", "cmdline"):
            assert CANARY.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    for pid in (process.pid, *bench.qemus()):
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        assert [line.split()[4:6] for line in limits if line.startswith("Max core")] == [["0", "0"]], "no core files"
    for path in (bench.folder / "run").rglob("*"):
        assert CANARY.encode() not in path.read_bytes()
    process.terminate()
    process.communicate()
