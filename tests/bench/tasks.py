"""What the tasks cost: a create that asks for all of them, against one that asks for the main job's, in one run

Interleaved rounds of both on the same image, so that a busy machine weighs on both alike; then what each task took, and
what those cost that had nothing to do.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests import calling
from tests.bench import floor
from tests.bench.deployment import DISK_SIZE, IMAGE

ROUNDS = 7
MORE_MAX = 0.7
"""Seconds that all tasks may cost over those of the main job."""
NOTHING_MAX = 0.010
"""Seconds that a task may cost that has nothing to do."""
SPAN = re.compile(r"^\S+\s+([0-9.]+)\s+([0-9.]+)\s+helper (\S+)(?:  (.*))?$", re.M)
NOT_ASKED = re.compile(r"helper: (\S+): skipped skipped: not asked for")

MINIMAL: Mapping[str, str] = {
    "users": "root",
    "password": "correct horse battery staple",
    "ssh_keys": calling.KEY,
    "dns_servers": "10.77.0.2",
}


class Span(NamedTuple):
    """One step in the helper, seconds"""

    name: str
    start: float
    seconds: float
    remark: str


class Run(NamedTuple):
    """One create"""

    seconds: float
    spans: tuple[Span, ...]
    not_asked: tuple[str, ...]
    """Names of tasks that were skipped without a start."""

    @property
    def tasks(self) -> float:
        """Seconds from the end of the boot to the end of the last step"""
        steps = [span for span in self.spans if not span.name.startswith("boot")]
        return max(span.start + span.seconds for span in steps) - min(span.start for span in steps)


def one(work: str, parameters: Mapping[str, str]) -> Run:
    """A create with these OS parameters"""
    disk = calling.Disk(os.path.join(work, "disk"), DISK_SIZE)
    floor.fresh_disk(disk.path, disk.size)
    variables = calling.environment(disk, image=IMAGE, **parameters)
    start = time.monotonic()
    process = calling.start(
        "create",
        variables,
        os.path.join(work, "settings"),
        accel="tcg",
        helper_image=calling.helper_image_folder(),
        image_folders=[os.path.dirname(IMAGE)],
        run_folder=os.path.join(work, "run"),
        verbose=True,
    )
    output, _ = process.communicate(timeout=300)
    seconds = time.monotonic() - start
    log = output.decode("utf-8", "replace")
    if process.returncode != 0:
        sys.exit(f"create failed:\n{log}")
    return Run(seconds, spans(log), tuple(NOT_ASKED.findall(log)))


def spans(log: str) -> tuple[Span, ...]:
    """The helper's steps of a log's timeline"""
    found = SPAN.findall(log[log.find("timeline") :])
    return tuple(
        Span(name, float(start), float(seconds), remark) for start, seconds, name, remark in found if name != "power"
    )


def nothing(run: Run) -> dict[str, float]:
    """Seconds of each task that had nothing to do; what those cost that did not even start, as one mean"""
    found = {span.name: span.seconds for span in run.spans if span.remark.startswith("skipped")}
    if run.not_asked:
        steps = [span for span in run.spans if not span.name.startswith("boot")]
        found[f"each of {len(run.not_asked)} not asked for"] = max(
            0.0, run.tasks - sum(span.seconds for span in steps)
        ) / len(run.not_asked)
    return found


def medians(runs: Sequence[Run]) -> dict[str, float]:
    """Task -> median seconds"""
    return {
        span.name: statistics.median(each.seconds for run in runs for each in run.spans if each.name == span.name)
        for span in runs[0].spans
    }


def main(rounds: int = ROUNDS) -> None:
    """Measure and print"""
    from tests.bench.everything import EVERYTHING

    build = os.path.join(calling.REPOSITORY, "build")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as work:
        pairs = [(one(work, MINIMAL), one(work, {**MINIMAL, **EVERYTHING})) for _ in range(rounds)]
    few, many = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    more = statistics.median(two.seconds - one.seconds for one, two in pairs)
    inside = statistics.median(two.tasks - one.tasks for one, two in pairs)
    reached = "reached" if more <= MORE_MAX else "MISSED"
    print(f"main job's tasks {statistics.median(run.seconds for run in few):.2f} s")
    print(f"all tasks        {statistics.median(run.seconds for run in many):.2f} s")
    print(f"more             {more:.2f} s, {inside:.2f} s of it in the helper  (reach {MORE_MAX}: {reached})")
    idle = [nothing(run) for run in few]
    print("\nwith nothing to do (median):")
    for name in idle[0]:
        seconds = statistics.median(each[name] for each in idle if name in each)
        remark = "" if seconds < NOTHING_MAX + 0.0005 else f"  (reach {NOTHING_MAX}: MISSED)"
        print(f"  {seconds:6.3f} s  {name}{remark}")
    print("\nall tasks (median):")
    for name, seconds in medians(many).items():
        print(f"  {seconds:6.2f} s  {name}")
