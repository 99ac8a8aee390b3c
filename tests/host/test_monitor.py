"""The monitor: who is told what, and when; a timeline in order"""

from __future__ import annotations

import io
import threading
import time

import pytest

from helper_host import monitor as monitors
from helper_host.errors import ProviderError
from helper_host.log import Log
from helper_host.monitor import Monitor
from helper_host.progress.activity import Activity
from helper_host.progress.base import Outcome, Sink

MIB = 1 << 20


class Recorder(Sink):
    """Remembers what it is told"""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def begin(self, activity: Activity) -> None:
        self.told.append(("begin", activity.kind, activity.what))

    def progress(self, activity: Activity, now: float) -> None:
        self.told.append(("progress", activity.what, activity.done, activity.total))

    def end(self, activity: Activity, remark: str) -> None:
        self.told.append(("end", activity.what, remark))

    def notice(self, text: str) -> None:
        self.told.append(("notice", text))

    def close(self, outcome: Outcome) -> None:
        self.told.append(("close", outcome.error))


class Failing(Sink):
    """Fails whatever it is told"""

    name = "a sink"

    def begin(self, activity: Activity) -> None:
        raise ValueError("no room")


def monitor(*sinks: Sink) -> tuple[Monitor, io.StringIO]:
    stream = io.StringIO()
    subject = Monitor(Log(stream=stream))
    for sink in sinks:
        subject.add(sink)
    return subject, stream


def test_the_timeline_is_in_order_and_shows_what_did_not_finish() -> None:
    subject, stream = monitor()
    subject.start("image")
    subject.start("boot", "helper")
    subject.end("boot", "helper")
    subject.guest_time(0.0)
    subject.guest_span("hostname", 5.0, 6.0, "skipped: no need")
    subject.timeline()
    lines = stream.getvalue().splitlines()
    assert [line.split()[4] for line in lines[1:-1]] == ["image", "boot", "hostname"]
    assert "not finished" in lines[1]
    assert "skipped: no need" in lines[3]
    assert "total" in lines[-1]


def test_the_first_and_the_last_word_come_through_and_few_between() -> None:
    sink = Recorder()
    subject, _ = monitor(sink)
    for step in range(101):
        subject.progress("writing image", step * MIB, 100 * MIB)
    assert sink.told == [
        ("begin", "bytes", "writing image"),
        ("progress", "writing image", 0, 100 * MIB),
        ("progress", "writing image", 100 * MIB, 100 * MIB),
        ("end", "writing image", ""),
    ]
    time.sleep(monitors.INTERVAL)
    subject.progress("writing image", 100 * MIB, 100 * MIB)
    assert len(sink.told) == 4, "what is done is done once"
    subject.progress("writing image", 7, 8)
    assert sink.told[4:] == [("begin", "bytes", "writing image"), ("progress", "writing image", 7, 8)]


def test_work_of_unknown_size_ends_with_its_span_at_its_true_size() -> None:
    sink = Recorder()
    subject, _ = monitor(sink)
    subject.start("write image")
    subject.progress("writing image", 1, 0)
    subject.progress("writing image", 2 * MIB, 0)  # too soon to be told
    ends: list[int] = []
    sink.end = lambda activity, remark: ends.append(activity.done)  # type: ignore[method-assign]
    subject.end("write image")
    assert ends == [2 * MIB, 0]


def test_steps_of_the_helper() -> None:
    sink = Recorder()
    subject, _ = monitor(sink)
    subject.guest_start("hostname")
    subject.guest_notice("no swap")
    subject.guest_span("hostname", 1.0, 2.0, "skipped: no need")
    subject.guest_span("never-begun", 1.0, 2.0, "")
    assert sink.told == [("begin", "step", "hostname"), ("notice", "no swap"), ("end", "hostname", "skipped: no need")]


def test_a_sink_that_comes_later_learns_what_is_under_way() -> None:
    subject, _ = monitor()
    subject.start("image")
    sink = Recorder()
    subject.add(sink)
    assert sink.told == [("begin", "span", "image")]


def test_every_sink_is_closed_once() -> None:
    first, second = Recorder(), Recorder()
    subject, _ = monitor(first, second)
    subject.close(Outcome("E-NODE: x; y"))
    subject.close()
    subject.start("late")
    assert first.told == second.told == [("close", "E-NODE: x; y")]


def test_a_sink_that_fails_is_told_nothing_more_and_harms_nobody() -> None:
    other = Recorder()
    subject, stream = monitor(Failing(), other)
    subject.start("image")
    subject.start("job")
    assert len(other.told) == 2
    assert stream.getvalue().count("a sink goes on without us: ValueError: no room") == 1


def test_a_signal_that_comes_while_a_sink_is_told_is_not_swallowed() -> None:
    sink = Recorder()
    subject, _ = monitor(sink)

    def interrupted(activity: Activity) -> None:
        raise ProviderError("E-INTERRUPTED", "ended", "run it again")

    sink.begin = interrupted  # type: ignore[method-assign]
    with pytest.raises(ProviderError, match="E-INTERRUPTED"):
        subject.start("image")
    assert subject.lines(), "and nothing is locked after it"


@pytest.mark.timed
def test_a_sink_that_hangs_holds_up_one_word_and_not_the_work() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Hanging(Sink):
        def progress(self, activity: Activity, now: float) -> None:
            entered.set()
            leave.wait(10)

    subject, _ = monitor(Hanging())
    thread = threading.Thread(target=lambda: subject.progress("writing image", 1, 100))
    thread.start()
    assert entered.wait(5)
    began = time.monotonic()
    for step in range(2, 50):
        subject.progress("checking image", step, 100)
    assert time.monotonic() - began < 0.5
    leave.set()
    thread.join()


def test_many_threads() -> None:
    sink = Recorder()
    subject, _ = monitor(sink)

    def work(name: str) -> None:
        for step in range(1, 2001):
            subject.progress(name, step, 2000)

    threads = [threading.Thread(target=work, args=(f"work {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        name = f"work {number}"
        mine = [told for told in sink.told if name in told]
        assert mine[0] == ("begin", "bytes", name)
        assert mine[-2:] == [("progress", name, 2000, 2000), ("end", name, "")]
        done = [told[2] for told in mine[1:-1]]
        assert done == sorted(done)  # type: ignore[type-var]
