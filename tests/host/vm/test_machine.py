"""The machine against a scripted QEMU: how runs end, what is believed, what is left behind"""

from __future__ import annotations

import os
import resource
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from helper_agent.protocol import Event, Hello, Plan
from helper_host.errors import ProviderError
from helper_host.vm.drive import OpenFile
from helper_host.vm.machine import Ended, Machine, MachineEvent, MachineSpec, Verdict, Woken
from tests.host.vm import fake_qemu
from tests.host.vm.fake_qemu import HELLO, SHUTDOWN, good, result, step

PLAN = ["say", {"type": "plan", "steps": ["inspect"], "t": 1.5}]
LOG = '{"type":"log","level":"info","step":"","message":"%s","t":2.5}\n'

Play = Callable[..., tuple[Verdict, list[MachineEvent]]]


@pytest.fixture
def play(tmp_path: Path, spec: MachineSpec) -> Play:
    """Runs a scenario as deployment would: go after hello"""

    def run(scenario: list[Any], **changes: Any) -> tuple[Verdict, list[MachineEvent]]:
        run_spec = spec._replace(program=fake_qemu.program(tmp_path, scenario), **changes)
        with Machine(run_spec) as machine:
            events = []
            for event in machine.events():
                events.append(event)
                if isinstance(event, Hello):
                    machine.go()
            pid = machine.pid
        assert isinstance(events[-1], Ended)
        assert not os.path.exists(f"/proc/{pid}")
        return machine.verdict(), events

    return run


def code(verdict: Verdict) -> str:
    problem = verdict.problem()
    return problem.code if problem else ""


def test_a_good_run(play: Play) -> None:
    verdict, events = play(good())
    assert verdict.success() and verdict.problem() is None
    # QMP's own events come when they come: only the agent's have an order among themselves
    said = [type(event).__name__ for event in events if isinstance(event, get_args(Event))]
    assert said[:2] == ["Hello", "Plan"]


def test_a_failure_in_the_guest_is_data(play: Play) -> None:
    verdict, _ = play(fake_qemu.failing("hostname", "E-FILESYSTEM-FULL"))
    assert not verdict.success() and verdict.problem() is None
    assert verdict.result is not None and verdict.result.failure is not None
    assert verdict.result.failure.code == "E-FILESYSTEM-FULL"


@pytest.mark.parametrize("missing", range(len(good("inspect"))))
def test_success_needs_every_part(play: Play, missing: int) -> None:
    scenario = good("inspect")
    dropped = scenario.pop(missing)
    verdict, _ = play(scenario, silence_seconds=0.5, hello_seconds=0.5)
    # without an exit code of its own the fake ends with 0 too; and this agent says what it wants before go
    assert verdict.success() == (dropped[0] in ("exit", "wait-go") and verdict.went)


# --- endings ---


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ([["exit", 1]], "E-VM-DIED"),
        ([["signal", 11]], "E-VM-DIED"),
        ([["signal", 9]], "E-VM-DIED"),
        ([["signal", 31]], "E-VM-DIED"),
        ([["qmp", "GUEST_PANICKED", {}], ["qmp", "SHUTDOWN", {"reason": "guest-panic"}], ["exit", 1]], "E-VM-DIED"),
        ([["qmp", "SHUTDOWN", {"guest": True, "reason": "guest-reset"}]], "E-VM-DIED"),
        ([SHUTDOWN], "E-VM-DIED"),
        ([["hang"]], "E-VM-SILENT"),
    ],
)
@pytest.mark.parametrize("went", [False, True])
def test_a_vm_that_ends_early(play: Play, tail: list[Any], expected: str, went: bool) -> None:
    before = [HELLO, ["wait-go"]] if went else []
    verdict, _ = play([*before, *tail], silence_seconds=0.3, hello_seconds=1 if tail == [["hang"]] else 10)
    problem = verdict.problem()
    assert not verdict.success() and problem is not None and problem.code == expected
    assert verdict.retryable() == (not went)


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        ([["signal", 11]], "killed by SIGSEGV"),
        ([["qmp", "GUEST_PANICKED", {}], ["exit", 1]], "kernel crashed during inspect"),
        ([["qmp", "SHUTDOWN", {"reason": "guest-reset"}]], "rebooted during inspect"),
        ([SHUTDOWN], "switched itself off before it was done during inspect"),
        ([["hang"]], "fell silent during inspect"),
    ],
)
def test_the_cause_names_the_step(play: Play, tail: list[Any], words: str) -> None:
    start = ["say", {"type": "step-start", "step": "inspect", "t": 2.0}]
    verdict, _ = play([HELLO, ["wait-go"], PLAN, start, *tail], silence_seconds=0.3)
    assert words in str(verdict.problem())


def test_qemu_that_refuses_to_start(play: Play) -> None:
    verdict, _ = play([["stderr", "qemu: -device nonsense: no\x1b[2J such device\n"], ["exit", 1]])
    assert code(verdict) == "E-VM-START" and r"no\x1b[2J such device" in str(verdict.problem())


def test_a_program_that_is_not_there(play: Play, spec: MachineSpec) -> None:
    with Machine(spec._replace(program="/nonexistent/qemu")) as machine:
        assert [type(event) for event in machine.events()] == [Ended]
    verdict = machine.verdict()
    assert code(verdict) == "E-VM-START" and not verdict.retryable()
    assert "/nonexistent/qemu: No such file" in str(verdict.problem())


def test_a_missing_root_image(spec: MachineSpec) -> None:
    with pytest.raises(ProviderError, match=r"E-VM-START.*nowhere"), Machine(spec._replace(root="/nowhere")):
        pass


def test_a_result_is_not_enough_when_the_disk_failed(play: Play) -> None:
    scenario = good()
    scenario.insert(4, ["qmp", "BLOCK_IO_ERROR", {"node-name": "drive-2", "operation": "write", "nospace": True}])
    verdict, _ = play(scenario)
    assert verdict.complete and not verdict.success()
    assert code(verdict) == "E-DISK-IO" and "No space" in str(verdict.problem())


# --- clocks ---


def test_the_hello_clock(play: Play) -> None:
    begin = time.monotonic()
    verdict, _ = play([["console", "booting\n"], ["hang"]], hello_seconds=0.4)
    assert verdict.expired == "hello" and verdict.retryable() and time.monotonic() - begin < 2


def test_the_total_clock_strikes_while_the_guest_talks(play: Play) -> None:
    talk = [part for _ in range(60) for part in (["raw", LOG % "on it"], ["sleep", 0.05])]
    verdict, _ = play([HELLO, ["wait-go"], *talk], silence_seconds=0.5, total_seconds=0.8)
    assert code(verdict) == "E-VM-TIMEOUT"


def test_dripping_bytes_are_silence(play: Play) -> None:
    begin = time.monotonic()
    verdict, _ = play([HELLO, ["wait-go"], ["drip", LOG % "x", 0.1]], silence_seconds=0.5)
    assert code(verdict) == "E-VM-SILENT" and time.monotonic() - begin < 3


def test_no_clock_runs_while_the_image_is_written(tmp_path: Path, spec: MachineSpec) -> None:
    reader, writer = os.pipe()
    program = fake_qemu.program(tmp_path, good())
    seen: list[str] = []
    with Machine(spec._replace(program=program, hello_seconds=0.5, silence_seconds=0.5)) as machine:
        for event in machine.events(reader):
            seen.append(type(event).__name__)
            if isinstance(event, Hello):
                time.sleep(0.7)
                os.write(writer, b"x")
            if isinstance(event, Woken):
                os.read(reader, 1)
                machine.go()
    os.close(reader)
    os.close(writer)
    assert machine.verdict().success() and seen[:2] == ["Hello", "Woken"]


# --- the channel's row of the fault matrix, over a real descriptor (the state machine's own tests have the rest) ---

VIOLATIONS: dict[str, list[Any]] = {
    "oversized": [["raw", '{"type":"log","message":"' + "x" * 70000 + '"}\n']],
    "not utf-8": [["raw", '{"type":"\xff"}\n']],
    "wrong nonce": [PLAN, *step("inspect"), result(nonce="other")],
    "success before the plan": [result()],
    "double success": [PLAN, *step("inspect"), result(), result()],
    "success then error": [PLAN, *step("inspect"), result(), *fake_qemu.failing("x")[-3:-2]],
    "partial then end": [["raw", '{"type":"log"']],
    "reopen": [["qmp", "VSERPORT_CHANGE", {"open": False}], ["qmp", "VSERPORT_CHANGE", {"open": True}], HELLO],
    "endless log": [["raw", (LOG % "x") * 3000]],
    "monitor floods": [["raw-qmp", "x" * 70000 + "\n"]],
    "monitor lies": [["raw-qmp", '{"return": 1}\n']],
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violations_end_the_vm(play: Play, name: str) -> None:
    verdict, _ = play([HELLO, ["wait-go"], *VIOLATIONS[name], SHUTDOWN])
    assert code(verdict) == "E-VM-PROTOCOL" and not verdict.success() and not verdict.retryable()


def test_a_port_that_is_closed_is_no_success(play: Play) -> None:
    verdict, _ = play([HELLO, ["wait-go"], ["port", "close"], SHUTDOWN])
    assert code(verdict) == "E-VM-DIED"


def test_a_flood_ends_at_once(play: Play) -> None:
    begin, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    verdict, _ = play([HELLO, ["wait-go"], ["flood", 400 << 20], SHUTDOWN])
    assert time.monotonic() - begin < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 16 * 1024
    assert code(verdict) == "E-VM-PROTOCOL"


def test_a_console_that_floods(play: Play) -> None:
    begin = time.monotonic()
    verdict, _ = play([HELLO, ["wait-go"], *[["console", "y" * 65536]] * 400, ["hang"]])
    assert code(verdict) == "E-VM-PROTOCOL" and time.monotonic() - begin < 5


def test_the_console_is_kept_in_bounds(tmp_path: Path, spec: MachineSpec) -> None:
    lines = "".join(f"line {number}\r\n" for number in range(1000))
    program = fake_qemu.program(tmp_path, [["console", lines + "y" * 100_000 + "\nlast"], ["exit", 1]])
    with Machine(spec._replace(program=program)) as machine:
        for _ in machine.events():
            pass
    assert len(machine.console) == 200 and machine.console[-1] == "last"
    assert len(machine.console[-2]) == 1000 and machine.console[0] == "line 802"


# --- leaving ---


@pytest.mark.timed
def test_kill_takes_no_time_and_leaves_nothing(tmp_path: Path, spec: MachineSpec) -> None:
    before = set(os.listdir("/proc/self/fd"))
    program = fake_qemu.program(tmp_path, [HELLO, ["hang"]])
    with Machine(spec._replace(program=program)) as machine:
        events: Iterator[MachineEvent | Event] = machine.events()
        assert isinstance(next(events), Hello)
        begin = time.monotonic()
        machine.kill()
        assert time.monotonic() - begin < 1
        assert [type(event) for event in events] == [Ended]
    assert machine.verdict().killed and not machine.verdict().success() and not machine.verdict().retryable()
    assert set(os.listdir("/proc/self/fd")) == before


def test_an_exception_ends_the_vm(tmp_path: Path, spec: MachineSpec) -> None:
    program = fake_qemu.program(tmp_path, [HELLO, ["hang"]])
    with pytest.raises(KeyboardInterrupt), Machine(spec._replace(program=program)) as machine:
        for _ in machine.events():
            raise KeyboardInterrupt
    assert not os.path.exists(f"/proc/{machine.pid}")


def test_a_person_at_the_console(tmp_path: Path, spec: MachineSpec) -> None:
    path = tmp_path / "console"
    path.touch()  # one that a killed run left
    program = fake_qemu.program(tmp_path, [HELLO, ["wait-go"], PLAN, ["shell"], *good("inspect")[3:]])
    visitor = socket.socket(socket.AF_UNIX)
    with Machine(spec._replace(program=program, shell=str(path), silence_seconds=0.0)) as machine:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for event in machine.events():
            if isinstance(event, Hello):
                machine.go()
            if isinstance(event, Plan):
                visitor.connect(str(path))
                visitor.send(b"id\n")
    assert machine.verdict().success() and list(machine.console) == ["you said id"]
    assert visitor.recv(100) == b"you said id\n" and not path.exists()
    visitor.close()


def test_a_console_that_can_not_be_offered_leaves_nothing(tmp_path: Path, spec: MachineSpec) -> None:
    program = fake_qemu.program(tmp_path, [HELLO, ["hang"]])
    machine = Machine(spec._replace(program=program, shell="/nonexistent/console"))
    with pytest.raises(ProviderError, match="console could not be offered"), machine:
        pass
    assert not os.path.exists(f"/proc/{machine.pid}")


def test_data_disks_are_read_only_where_the_descriptor_is(tmp_path: Path, spec: MachineSpec) -> None:
    reader = os.open(tmp_path / "disk", os.O_RDONLY)
    program = fake_qemu.program(tmp_path, [["write", 1, 0, "no"], ["write", 0, 0, "yes"], *good()])
    with Machine(spec._replace(program=program, disks=(*spec.disks, OpenFile(reader)))) as machine:
        for event in machine.events():
            if isinstance(event, Hello):
                machine.go()
    os.close(reader)
    assert machine.verdict().success()
    assert (tmp_path / "disk").read_bytes()[:3] != b"no\0"
