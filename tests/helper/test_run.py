"""The one `run`: how commands start, end and are described"""

from __future__ import annotations

import os
import time

import pytest

from helper_agent.run import OUTPUT_MAX, CommandFailed, how_ended, run

pytestmark = pytest.mark.programs


def test_output_and_code() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], ok=(0, 3))
    assert (done.returncode, done.stdout, done.stderr, done.text) == (3, b"out\n", b"err\n", "out\n")


def test_input_and_closed_stdin() -> None:
    assert run(["cat"], input=b"a\0b").stdout == b"a\0b"
    assert run(["cat"]).stdout == b""


def test_much_input_and_output_at_once() -> None:
    big = b"0123456789abcdef" * 65536
    assert run(["cat"], input=big).stdout == big


def test_input_a_command_does_not_read() -> None:
    assert run(["true"], input=b"x" * 1_000_000).returncode == 0


def test_the_environment_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSP_PASSWORD", "S3cret")
    monkeypatch.setenv("LD_PRELOAD", "")
    environment = dict(line.split("=", 1) for line in run(["env"], env={"MORE": "1"}).text.splitlines())
    assert environment.pop("PATH").startswith("/usr/sbin")
    assert environment == {"HOME": "/", "LC_ALL": "C.UTF-8", "TZ": "UTC0", "MORE": "1"}


def test_descriptors_are_closed_unless_passed() -> None:
    read, write = os.pipe()
    try:
        os.set_inheritable(write, True)
        assert str(write) not in run(["ls", "/proc/self/fd"]).text.split()
        os.set_inheritable(write, False)
        assert str(write) in run(["ls", "/proc/self/fd"], pass_fds=(write,)).text.split()
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["/nowhere/at-all"], "not found"),
        (["/etc"], "could not be started (Permission denied)"),
        (["sh", "-c", "exit 7"], "exit code 7"),
        (["sh", "-c", "kill -SEGV $$"], "killed by SIGSEGV"),
        (["sleep", "60"], "still running after 0.2 s, killed"),
    ],
)
def test_failures_say_how(argv: list[str], reason: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(argv, timeout=0.2 if argv[0] == "sleep" else 10)
    assert caught.value.reason == reason
    assert caught.value.argv == tuple(argv)
    assert str(caught.value).endswith(f": {reason}")


def test_a_failure_quotes_the_command_for_a_shell() -> None:
    with pytest.raises(CommandFailed, match=r"^sh -c 'exit \"1\"': exit code 1$"):
        run(["sh", "-c", 'exit "1"'])


def test_the_end_of_the_output_is_kept() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "yes | head -c 100000; echo the end; exit 1"])
    assert len(caught.value.output) <= OUTPUT_MAX + 10
    assert caught.value.output.endswith("the end")


def test_a_command_out_of_time_is_killed_with_its_children() -> None:
    started = time.monotonic()
    with pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", "echo begun; sleep 60 & sleep 60"], timeout=0.5)
    assert time.monotonic() - started < 5
    assert caught.value.output == "begun"


def test_how_ended() -> None:
    assert how_ended(3) == "exit code 3"
    assert how_ended(-9) == "killed by SIGKILL"
    assert how_ended(-99) == "killed by signal 99"
