"""How a command's end becomes an exit code and a last line"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

from helper_host.commands import main
from helper_host.errors import ProviderError


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Signal handlers and umask belong to the test run"""
    handlers = {number: signal.getsignal(number) for number in main.ENDINGS}
    mask = os.umask(0o022)
    yield
    os.umask(mask)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], tuple[int, list[str]]]:
    """Run a command: its exit code and the lines it wrote"""

    def run(command: Callable[[], None]) -> tuple[int, list[str]]:
        stderr = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stderr)
        code = main.guarded_call("create", command)
        return code, stderr.getvalue().splitlines()

    return run


Ended = Callable[[Callable[[], None]], tuple[int, list[str]]]


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def command() -> NoReturn:
        raise error

    return command


def test_success_says_nothing(ended: Ended) -> None:
    assert ended(lambda: None) == (0, [])


def test_an_error_is_one_line(ended: Ended) -> None:
    error = ProviderError("E-NODE", "There is no room", "make some")
    assert ended(raising(error)) == (1, ["E-NODE: There is no room; make some"])


def test_the_line_cannot_be_forged(ended: Ended) -> None:
    code, lines = ended(raising(ProviderError("E-NODE", "a\nE-OTHER: b\x1b[2J", "c")))
    assert (code, lines) == (1, ["E-NODE: a\\nE-OTHER: b\\x1b[2J; c"])


@pytest.mark.parametrize("error", [ValueError("what"), KeyError("x"), SystemExit("early"), ImportError("no module")])
def test_a_defect_shows_its_traceback_above_the_line(ended: Ended, error: BaseException) -> None:
    code, lines = ended(raising(error))
    assert code == 1
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith(f"E-INTERNAL: create: {type(error).__name__}: ")


def test_no_memory(ended: Ended) -> None:
    code, lines = ended(raising(MemoryError()))
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("E-NODE: ")


@pytest.mark.parametrize("number", main.ENDINGS)
def test_a_signal(ended: Ended, number: signal.Signals) -> None:
    code, lines = ended(lambda: signal.raise_signal(number))
    assert code == 1
    assert lines[-1].startswith(f"E-INTERRUPTED: The script was ended by {number.name}; ")


def test_a_second_signal_does_not_end_the_tidying_up(ended: Ended) -> None:
    tidied = []

    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
            tidied.append(True)

    assert ended(command)[0] == 1
    assert tidied
