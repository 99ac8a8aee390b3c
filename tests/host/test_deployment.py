"""A whole `create` in a process of its own: real disk, real jail, and a scripted QEMU that does what a VM may do

Whatever happens: a non-zero exit with one last line `E-CODE: cause; what to do`, within its time, and no process, run
file or secret left behind; a disk that isn't finished doesn't look finished, and one that wasn't touched is as before.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.host.deploying import CANARY, MIB, Bench, checked, failed, wait_for
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

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


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with checked(Bench(tmp_path)) as bench:
        yield bench


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


@pytest.mark.parametrize(
    ("given", "more"),
    [
        ({"locale": "de_DE.UTF-8"}, 0),
        ({"make_locale": "yes"}, 0),
        ({"locale": "de_DE.UTF-8", "make_locale": "yes"}, 160),
        ({"luks_key": CANARY}, 1088),
    ],
)
def test_memory_for_what_the_helper_is_to_do(bench: Bench, given: dict[str, str], more: int) -> None:
    bench.parameters |= given
    since = time.monotonic()
    process = bench.start([fake_qemu.HELLO, ["hang"]])
    words: list[bytes] = []

    def seen() -> bool:
        for pid in bench.qemus():
            words[:] = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"-m" in words

    assert wait_for(seen)
    process.terminate()
    bench.finish(process, since)
    assert words[words.index(b"-m") + 1] == str(256 + more).encode()


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


@pytest.mark.timed
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
