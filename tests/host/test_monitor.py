"""The monitor: progress at intervals, a timeline in order"""

from __future__ import annotations

import io

from helper_host.log import Log
from helper_host.monitor import MIB, Monitor


def monitor() -> tuple[Monitor, io.StringIO]:
    stream = io.StringIO()
    return Monitor(Log(stream=stream)), stream


def test_progress_says_the_end_and_not_every_step() -> None:
    subject, stream = monitor()
    for step in range(100):
        subject.progress("writing", step * MIB, 100 * MIB)
    assert stream.getvalue() == ""
    subject.progress("writing", 100 * MIB, 100 * MIB)
    assert "writing: 100 of 100 MiB (100 %)" in stream.getvalue()


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
