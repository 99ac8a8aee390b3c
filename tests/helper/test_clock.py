"""The time limit: what it interrupts, what it must not cut in two, and what is left afterwards"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from helper_agent import clock
from helper_agent.api import TaskError
from helper_agent.run import run

SHORT = 0.15


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No timer runs on after a test, and the handler is the one from before"""
    before = signal.getsignal(signal.SIGALRM)
    yield
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == before
    assert clock._current is None
    assert clock._shields == 0


def loop() -> None:
    while True:
        pass


def deaf() -> None:
    """Takes every exception for one of its own"""
    for _ in range(100):
        try:
            time.sleep(0.2)
        except Exception:
            raise AssertionError("the interruption looks like an error of the task's own") from None


@pytest.mark.parametrize("work", [loop, lambda: time.sleep(20), deaf], ids=["loop", "sleep", "except Exception"])
def test_work_is_ended_at_its_limit(work: Callable[[], None]) -> None:
    start = time.monotonic()
    with pytest.raises(TaskError) as caught, clock.limit(SHORT, "The task org.example.slow"):
        work()
    assert 0.1 < time.monotonic() - start < 5
    assert caught.value.cause == "The task org.example.slow was still at work after 0.15 s"
    assert "timeout" in caught.value.remedy
    assert caught.value.output.splitlines()[0].startswith("test_clock.py:"), "where it was"


@pytest.mark.programs
def test_a_command_is_ended_with_its_task() -> None:
    with pytest.raises(TaskError), clock.limit(SHORT):
        run(["sleep", "20"])


def test_who_swallows_the_interruption_is_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "AGAIN", 0.1)
    caught = 0
    with pytest.raises(TaskError), clock.limit(SHORT):
        while True:
            try:
                time.sleep(20)
            except BaseException:
                caught += 1
                if caught == 3:
                    raise
    assert caught == 3


def test_work_within_its_limit_goes_on() -> None:
    with clock.limit(5):
        time.sleep(0.01)


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(KeyError), clock.limit(5):
        raise KeyError("uid")


def test_signs_of_life_come_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "HEARTBEAT", 0.05)
    beats: list[float] = []
    with clock.limit(None, beat=lambda: beats.append(time.monotonic())):
        time.sleep(0.28)
    assert 2 <= len(beats) <= 6


def test_a_limit_and_signs_of_life_share_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "HEARTBEAT", 0.05)
    beats: list[int] = []
    with pytest.raises(TaskError), clock.limit(0.28, beat=lambda: beats.append(1)):
        loop()
    assert 2 <= len(beats) <= 6


def test_a_limit_within_another_ends_the_inner_work_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "HEARTBEAT", 0.05)
    beats: list[int] = []
    with clock.limit(None, beat=lambda: beats.append(1)):
        with pytest.raises(TaskError), clock.limit(SHORT):
            loop()
        assert beats == []
        time.sleep(0.12)
    assert beats


def test_someone_elses_timer_goes_on() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with clock.limit(5):
            pass
        time.sleep(0.2)
        assert rung == [1]
    finally:
        signal.signal(signal.SIGALRM, before)


# --- shielded ---


def test_what_is_shielded_is_done_to_its_end() -> None:
    done: list[str] = []
    with pytest.raises(TaskError), clock.limit(SHORT):
        with clock.shielded():
            end = time.monotonic() + 0.4
            while time.monotonic() < end:
                pass
            done.append("shielded")
        done.append("after")
    assert done == ["shielded"]


def test_shields_may_be_nested() -> None:
    done: list[str] = []
    with pytest.raises(TaskError), clock.limit(SHORT), clock.shielded():
        with clock.shielded():
            time.sleep(0.3)
        done.append("inner")
    assert done == ["inner"]


def test_a_shield_lets_its_own_errors_through() -> None:
    with pytest.raises(KeyError), clock.limit(5), clock.shielded():
        raise KeyError("uid")


def test_long_shielded_work_can_be_interrupted_where_it_says_so() -> None:
    done: list[int] = []
    with pytest.raises(TaskError), clock.limit(SHORT), clock.shielded():
        for number in range(100):
            time.sleep(0.02)
            done.append(number)
            clock.breathe()
            done.append(number)
    assert 5 < len(done) < 100
    assert len(done) % 2 == 1, "it was interrupted elsewhere"


def test_a_breath_without_a_limit_does_nothing() -> None:
    clock.breathe()


def test_a_shield_without_a_limit_does_nothing() -> None:
    with clock.shielded():
        pass


@pytest.mark.timed
def test_an_interruption_at_any_moment_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarm comes all over: in the body, in the shield, in the limit's own beginning and end"""
    monkeypatch.setattr(clock, "SOON", 0.00001)
    monkeypatch.setattr(clock, "AGAIN", 0.0002)
    halves = ended = 0
    for number in range(100_000):
        if number >= 3000 and ended > 50:  # how soon that is depends on who else has the processor
            break
        pair = [0, 0]
        try:
            with clock.limit(0.000005 * (number % 80)):
                for _ in range(number % 30):
                    with clock.shielded():
                        pair[0] += 1
                        time.monotonic()  # a call is where Python looks at signals
                        pair[1] += 1
        except TaskError:
            ended += 1
        halves += pair[0] != pair[1]
        assert clock._current is None
        assert clock._shields == 0
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert halves == 0
    assert ended > 50


def test_another_thread_has_no_limit() -> None:
    done: list[str] = []

    def work() -> None:
        with clock.limit(0.01):
            time.sleep(0.05)
            done.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == ["done"]
