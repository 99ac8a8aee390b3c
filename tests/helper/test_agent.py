"""The agent's main loop against a node that is played by the test, over a socket pair instead of a port"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from helper_agent import agent, declaration, job_drive, protocol, registry
from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.disk import devices
from helper_agent.job import JOB_FILE, JOB_MAX, TaskFile, encode_job
from helper_agent.protocol import Failure, Hello, Log, Plan, Result, StepEnd, StepStart
from helper_agent.steps import Layers
from helper_agent.wire import Disconnected
from helper_host.vm.job import iso_image
from tests.helper.node import JOB, SECRET, Node, failure, raising, steps

# --- before go ---


def test_hello_comes_first_and_nothing_is_touched_before_go(node: Node) -> None:
    node.task("write", lambda context: context.root.write("/x", "y"))
    node.start()
    hello = protocol.decode(next(node.lines()))
    assert isinstance(hello, Hello)
    assert (hello.protocol, hello.agent) == (protocol.PROTOCOL_VERSION, protocol.AGENT_VERSION)
    assert hello.t > 0
    assert node.touched == []


@pytest.mark.parametrize("word", [b"", b'{"type":"stop"}\n', b"\n", b"x" * 200, b'{"type":"go"'])
def test_without_go_the_agent_ends_and_touches_nothing(node: Node, word: bytes) -> None:
    node.start()
    node.here.sendall(word)
    node.here.shutdown(socket.SHUT_WR)
    events = [protocol.decode(line) for line in node.lines()]
    assert len(events) == 1
    assert node.touched == []
    assert isinstance(node.crash, Disconnected)


def test_go_may_come_before_hello_and_in_pieces(node: Node) -> None:
    node.here.sendall(protocol.GO[:5])
    node.start()
    node.here.sendall(protocol.GO[5:])
    assert b'"result"' in list(node.lines())[-1]
    assert node.touched[0] == "job"


# --- a run ---


def test_a_run_takes_its_steps_in_order_and_accounts_for_each(node: Node) -> None:
    node.task("grow", lambda context: node.touched.append("grow"), "devices")

    def rename(context: Context) -> None:
        context.root.write("/etc/hostname", f"{context.instance.name}\n", uid=os.getuid(), gid=os.getgid())

    node.tree.folder("/etc")
    node.task("name", rename)
    events = node.run()
    assert isinstance(events[0], Plan)
    assert events[0].steps == ("inspect", "grow", "mount", "name", "umount")
    assert [event.step for event in events if isinstance(event, StepStart)] == list(events[0].steps)
    assert steps(events) == ["inspect done", "grow done", "mount done", "name done", "umount done"]
    assert events[-1] == Result("n0nce", None, events[-1].t)
    assert node.touched == ["job", "inspect", "grow", "mount", "umount"]
    assert node.tree.text("/etc/hostname") == "web1.example.org\n"


def test_nothing_is_mounted_for_tasks_on_devices_only(node: Node) -> None:
    node.task("grow", lambda context: None, "devices")
    assert steps(node.run()) == ["inspect done", "grow done", "umount done"]
    assert "mount" not in node.touched


def test_a_skip_and_a_misfit_are_steps_with_a_reason(node: Node) -> None:
    node.task("nothing", raising(Skip("no swap was asked for")))
    node.task("other", raising(AssertionError()), families=("windows",))
    node.task("redhat", raising(AssertionError()), distros=("rhel",))
    events = node.run()
    ends = {event.step: event for event in events if isinstance(event, StepEnd)}
    assert (ends["nothing"].outcome, ends["nothing"].detail) == ("skipped", "no swap was asked for")
    assert (ends["other"].outcome, ends["redhat"].outcome) == ("skipped", "skipped")
    assert "rhel" in ends["redhat"].detail


def test_the_tree_is_not_offered_to_tasks_on_devices(node: Node) -> None:
    node.task("early", lambda context: context.root.write("/x", "y"), "devices")
    assert "devices phase" in failure(node.run()).cause


# --- failures ---


def test_the_first_failure_ends_the_run_with_nothing_left_mounted(node: Node) -> None:
    node.task("bad", raising(TaskError("No user alice", "name one of: root", code="E-USER", output="said")))
    node.task("never", lambda context: node.touched.append("never"))
    events = node.run()
    assert steps(events) == ["inspect done", "mount done", "bad failed"]
    assert failure(events) == Failure("bad", "E-USER", "No user alice", "name one of: root", "said")
    assert node.touched[-1] == "umount"
    assert "never" not in node.touched


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/etc/x"), "E-FILESYSTEM-FULL", "No room"),
        (OSError(errno.EDQUOT, "Quota", None), "E-FILESYSTEM-FULL", "No room"),
        (OSError(errno.EROFS, "Read-only file system"), "E-FILESYSTEM", "Read-only"),
        (OSError(errno.EIO, "Input/output error"), "E-FILESYSTEM", "Input/output"),
        (OSError(errno.EUCLEAN, "Structure needs cleaning"), "E-FILESYSTEM", "cleaning"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "E-AGENT", "memory"),
        (MemoryError(), "E-AGENT", "memory"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/etc/passwd"), "E-TASK", "FileNotFoundError"),
        (KeyError("uid"), "E-TASK", "KeyError: 'uid'"),
        (RecursionError("deep"), "E-TASK", "RecursionError"),
        (TaskError("made up", code="E-NONSENSE"), "E-TASK", "made up"),
    ],
)
def test_whatever_a_task_raises_is_data(node: Node, error: BaseException, code: str, words: str) -> None:
    node.task("bad", raising(error))
    told = failure(node.run())
    assert (told.step, told.code) == ("bad", code)
    assert words in told.cause
    assert "\n" not in told.cause
    assert node.touched[-1] == "umount"


@pytest.mark.programs
def test_a_command_that_fails_is_quoted_with_what_it_printed(node: Node) -> None:
    node.task("bad", lambda context: context.run(["sh", "-c", "echo it broke >&2; exit 3"]) and None)
    told = failure(node.run())
    assert told.code == "E-TASK"
    assert "exit code 3" in told.cause
    assert told.output == "it broke"


def test_an_unexpected_error_says_where(node: Node) -> None:
    node.task("bad", raising(ValueError("odd")))
    assert "node.py:" in failure(node.run()).output


def test_a_deep_error_says_where_in_the_task_and_where_in_the_end(node: Node) -> None:
    def deep(left: int) -> None:
        if not left:
            raise ValueError("odd")
        deep(left - 1)

    node.task("bad", lambda context: deep(30))
    lines = failure(node.run()).output.splitlines()
    assert lines[0].endswith(" in <lambda>"), "the task itself comes first"
    assert lines[3] == "..."
    assert lines[-1].endswith(" in deep")
    assert len(lines) == 9


@pytest.mark.programs
def test_a_program_that_is_not_there_is_no_matter_of_its_output(node: Node) -> None:
    def task(context: Context) -> None:
        context.run(["/nowhere/mkfs"])

    node.task("bad", task)
    told = failure(node.run())
    assert "not found" in told.cause
    assert told.remedy == "use a program that the helper has; task lint knows them"


def test_a_failure_to_unmount_is_no_success(node: Node) -> None:
    node.task("name", lambda context: None)
    node.close_error = OSError(errno.EIO, "Input/output error", "/run/helper/root")
    told = failure(node.run())
    assert (told.step, told.code) == ("umount", "E-FILESYSTEM")


def test_a_disk_that_can_not_be_flushed_is_no_success(node: Node) -> None:
    node.disk.unlink()
    assert failure(node.run()).step == "umount"


def test_a_failure_to_unmount_after_a_failure_does_not_hide_it(node: Node) -> None:
    node.task("bad", raising(TaskError("first")))
    node.close_error = OSError(errno.EBUSY, "busy")
    events = node.run()
    assert failure(events).cause == "first"
    assert any(isinstance(event, Log) and event.level == "warning" for event in events)


@pytest.mark.parametrize("options", [{"hostnmae": {}}, {"sample": {"naem": "x"}}, {"sample": {"name": 3}}])
def test_options_are_checked_before_anything_is_touched(node: Node, options: dict[str, Any]) -> None:
    node.task("sample", raising(AssertionError()), options=(Option("name", "str", "a name"),))
    node.job = JOB._replace(options=options)
    events = node.run()
    assert len(events) == 1
    assert failure(events).code == "E-OPTION"
    assert node.touched == ["job"]


@pytest.mark.parametrize("error", [ImportError("no module"), SyntaxError("bad"), SystemExit(3), KeyboardInterrupt()])
def test_an_agent_that_is_broken_says_so(node: Node, error: BaseException) -> None:
    def prepare() -> Layers:
        raise error

    node.prepare = prepare
    told = failure(node.run())
    assert told.code == "E-AGENT"
    assert type(error).__name__ in told.cause
    assert node.touched == []


# --- bounds and secrets ---


def test_secrets_never_leave_the_guest(node: Node) -> None:
    lines = f"-----BEGIN KEY-----\n{SECRET}\n-----END KEY-----\n"
    declared = (Option("hash", "str", "", secret=True), Option("keys", "list", "", secret=True))

    def leak(context: Context) -> None:
        context.log.info(f"set {context.options.text('hash')}")
        raise ValueError(f"bad line {SECRET} in {context.options.items('keys')}")

    node.task("leaky", leak, options=declared)
    node.job = JOB._replace(options={"leaky": {"hash": "$y$j9T$abcdef", "keys": [lines]}})
    said = b"".join(node.said())
    assert SECRET.encode() not in said
    assert b"$y$j9T$abcdef" not in said
    assert b"[secret]" in said


def test_a_flood_of_log_lines_stays_within_the_protocol(node: Node) -> None:
    def talk(context: Context) -> None:
        for number in range(20_000):
            context.log.info(f"{number} " + "x" * (number % 20_000))

    node.task("talk", talk)
    lines = node.said()
    assert len(lines) < protocol.MESSAGES_MAX
    assert sum(map(len, lines)) < protocol.TOTAL_MAX
    assert max(map(len, lines)) <= protocol.MESSAGE_MAX
    assert protocol.decode(lines[-1]) == Result("n0nce", None, protocol.decode(lines[-1]).t)
    assert any(b"too many log lines" in line for line in lines)


@pytest.mark.parametrize("verbose", [True, False])
def test_debug_lines_are_sent_when_asked_for(node: Node, verbose: bool) -> None:
    node.task("talk", lambda context: context.log.debug("a detail"))
    node.job = JOB._replace(verbose=verbose)
    logs = [event.message for event in node.run() if isinstance(event, Log)]
    assert logs == (["a detail"] if verbose else [])


def test_text_that_is_not_utf_8_gets_through(node: Node) -> None:
    node.task("bad", raising(TaskError(os.fsdecode(b"odd name \xff\x1b]0;") + "\u202e\0")))
    assert failure(node.run()).cause.startswith("odd name")


# --- the config drive ---


@pytest.mark.parametrize("count", [0, 1, 60])
def test_a_file_of_the_config_drive(tmp_path: Path, count: int) -> None:
    files = {f"F{number:05}.BIN": bytes([number]) * number for number in range(count)}
    document = b"{}" * 5000
    (tmp_path / "job.iso").write_bytes(iso_image({**files, JOB_FILE: document}))
    with open(tmp_path / "job.iso", "rb") as drive:
        assert job_drive.read_file(drive.fileno(), JOB_FILE, limit=JOB_MAX) == document
        for name, content in files.items():
            assert job_drive.read_file(drive.fileno(), name, limit=100) == content
        with pytest.raises(job_drive.DriveError, match="no file"):
            job_drive.read_file(drive.fileno(), "OTHER.JSON", limit=100)
        with pytest.raises(job_drive.DriveError, match="10000 bytes"):
            job_drive.read_file(drive.fileno(), JOB_FILE, limit=100)


@pytest.mark.parametrize("size", [0, 32768, 34000, 34816, 40000, 58000])
def test_a_config_drive_cut_short(tmp_path: Path, size: int) -> None:
    (tmp_path / "job.iso").write_bytes(iso_image({JOB_FILE: b"x" * 10_000})[:size])
    with open(tmp_path / "job.iso", "rb") as drive, pytest.raises(job_drive.DriveError):
        job_drive.read_file(drive.fileno(), JOB_FILE, limit=100_000)


# --- the port ---


def test_the_port_is_found_by_its_name(tmp_path: Path) -> None:
    for device, name in (("vport0p1", "org.other"), ("vport0p2", protocol.PORT_NAME)):
        (tmp_path / device).mkdir()
        (tmp_path / device / "name").write_text(f"{name}\n")
    assert agent.find_port(str(tmp_path)) == "/dev/vport0p2"
    (tmp_path / "vport0p2" / "name").write_text("else\n")
    with pytest.raises(FileNotFoundError):
        agent.find_port(str(tmp_path))


@pytest.mark.programs
def test_a_long_command_gives_signs_of_life(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helper_agent.clock.HEARTBEAT", 0.2)
    node.task("slow", lambda context: context.run(["sleep", "0.7"]) and None)
    logs = [event for event in node.run() if isinstance(event, Log)]
    assert 2 <= len(logs) <= 4
    assert logs[0].step == "slow"


# --- what it stands on ---


def test_the_job_is_taken_with_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tuple(TaskFile(f"TASK000{number}.BIN", "x.py", "python", "Do it", {"name": "x"}) for number in range(2))
    job = JOB._replace(tasks=rows, only_tasks=("a",), properties={"A": "b"})
    payloads = {"TASK0000.BIN": b"zero\0", "TASK0001.BIN": b""}
    drive, disk = tmp_path / "job.iso", tmp_path / "disk"
    drive.write_bytes(iso_image({JOB_FILE: encode_job(job), **payloads}))
    disk.touch()
    there = {protocol.JOB_SERIAL: str(drive), "disk-0": str(disk)}
    reread: list[str] = []
    monkeypatch.setattr(devices, "find", lambda serials: {serial: there[serial] for serial in serials})
    monkeypatch.setattr(devices, "reread", reread.append)
    assert agent.take_job() == ({0: str(disk)}, job, payloads)
    assert reread == [str(drive), str(disk)]


def test_tasks_of_the_helper_image_are_among_those_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task("org.example.first", "filesystems", before=("hostname",), api=1)
    row = {"task": declaration.plain(task), "heading": "Be first", "source": "first.py", "kind": "python", "file": "f"}
    (tmp_path / "index.json").write_text(json.dumps([row]))
    monkeypatch.setattr(sys, "path", [*sys.path])
    built_in = [item.task.name for item in agent.real_layers().tasks]
    monkeypatch.setattr(registry, "OUTSIDE", str(tmp_path))
    names = [item.task.name for item in agent.real_layers().tasks]
    assert sorted(names) == sorted([*built_in, task.name])
    assert names.index(task.name) < names.index("hostname")
