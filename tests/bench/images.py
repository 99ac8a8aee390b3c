"""An image onto a disk, against the best there is for it: medians of interleaved rounds, and their ratio

Ours is a whole `create` in a process of its own, Python's start included, that leaves out all tasks and so needs no
helper; only the last row is with all that belongs to an instance. Emulation makes that one a measure of the processors:
one create alone keeps two of them busy.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests import calling
from tests.bench import floor, material, stages
from tests.bench.watch import PeakMemory

ROUNDS = 5
AT_ONCE = 8
MIB = 1 << 20
NO_TASKS = '{"EXCLUDE_ALL_TASKS":"yes"}'


class Row(NamedTuple):
    """One line of the table; seconds"""

    work: str
    theirs: float
    what: str
    """What `theirs` is."""
    ours: float
    ratio: float
    reach: float
    peak: int
    """Bytes of the node's process."""


class Bench:
    """A folder with a disk, settings and a cache of its own"""

    def __init__(self, work: str) -> None:
        self.work = work
        self.cache = os.path.join(work, "cache")
        self.peak = 0

    def disk(self, size: int, number: int = 0) -> calling.Disk:
        """A fresh sparse file"""
        disk = calling.Disk(os.path.join(self.work, f"disk{number}"), size)
        floor.fresh_disk(disk.path, disk.size)
        return disk

    def cold(self) -> None:
        """Forget all downloads"""
        shutil.rmtree(self.cache, ignore_errors=True)

    def start(self, disk: calling.Disk, number: int = 0, /, **parameters: str) -> subprocess.Popen[bytes]:
        """A create, not waited for"""
        variables = calling.environment(disk, **parameters) | {"INSTANCE_NAME": f"web{number}.example.org"}
        return calling.start(
            "create",
            variables,
            os.path.join(self.work, "settings"),
            accel="tcg",
            helper_image=calling.helper_image_folder(),
            image_folders=[material.FOLDER, os.path.dirname(material.DEBIAN)],
            run_folder=os.path.join(self.work, "run"),
            cache_folder=self.cache,
        )

    def create(self, disk: calling.Disk, **parameters: str) -> float:
        """Seconds of a create"""
        start = time.monotonic()
        process = self.start(disk, **parameters)
        with PeakMemory(process.pid) as peak:
            ended(process)
        self.peak = max(self.peak, peak.node)
        return time.monotonic() - start


def ended(process: subprocess.Popen[bytes]) -> None:
    """Wait; the log of one that failed ends the benchmark"""
    output, _ = process.communicate(timeout=600)
    if process.returncode != 0:
        sys.exit(f"create failed:\n{output.decode('utf-8', 'replace')}")


def compare(bench: Bench, work: str, what: str, reach: float, one_round: Callable[[], tuple[float, float]]) -> Row:
    """`one_round` gives theirs and ours"""
    bench.peak = 0
    one_round()  # nobody's first
    rounds: Sequence[tuple[float, float]] = [one_round() for _ in range(ROUNDS)]
    ratio = statistics.median(ours / theirs for theirs, ours in rounds)
    theirs, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    row = Row(work, theirs, what, ours, ratio, reach, bench.peak)
    print(shown(row), flush=True)
    return row


def local(bench: Bench, work: str, path: str, image_format: str) -> Row:
    """A file in an allowed folder against qemu-img"""
    stages.warm(path)

    def one_round() -> tuple[float, float]:
        theirs = stages.convert(path, image_format, bench.disk(material.SPARSE_SIZE).path)
        disk = bench.disk(material.SPARSE_SIZE)
        return theirs, bench.create(disk, image=path, img_properties=NO_TASKS)

    return compare(bench, work, "qemu-img convert", 1.05, one_round)


def streamed(bench: Bench, served: stages.Served, suffix: str) -> Row:
    """A compressed image from a server against the slowest of its stages alone"""
    path = material.compressed(suffix)
    url = f"{served.url}/{os.path.basename(path)}"
    stages.warm(path, material.DEBIAN)
    size = os.stat(material.DEBIAN).st_size
    slowest: list[str] = []

    def one_round() -> tuple[float, float]:
        alone = {
            "fetch": stages.fetch(url),
            "unpack": stages.unpack(material.UNPACKERS[suffix], path),
            "write": stages.write(material.DEBIAN, bench.disk(size).path),
        }
        slowest[:] = [max(alone, key=lambda stage: alone[stage])]
        bench.cold()
        disk = bench.disk(size)
        return max(alone.values()), bench.create(disk, image=url, img_properties=NO_TASKS)

    row = compare(bench, f"raw+{suffix} by http", "slowest stage alone", 1.15, one_round)
    print(f"{'':24}(the slowest was: {slowest[0]})")
    return row


def at_once(bench: Bench, served: stages.Served, work: str, **parameters: str) -> Row:
    """The same URL for 8 instances on a cold cache, against 8 times one"""
    url = f"{served.url}/{os.path.basename(material.compressed('zst'))}"
    size = os.stat(material.DEBIAN).st_size

    def one_round() -> tuple[float, float]:
        bench.cold()
        one = bench.create(bench.disk(size), image=url, **parameters)
        bench.cold()
        disks = [bench.disk(size, number) for number in range(AT_ONCE)]
        before = served.count()
        start = time.monotonic()
        processes = [bench.start(disk, number, image=url, **parameters) for number, disk in enumerate(disks)]
        for process in processes:
            ended(process)
        seconds = time.monotonic() - start
        if served.count() != before + 1:
            sys.exit(f"{served.count() - before} downloads for {AT_ONCE} instances")
        return AT_ONCE * one, seconds

    return compare(bench, work, f"{AT_ONCE} x one", 0.8, one_round)


def shown(row: Row) -> str:
    """The row for people"""
    verdict = "reached" if row.ratio <= row.reach else "MISSED"
    return (
        f"{row.work:24}{row.what:22}{row.theirs:7.2f} s  ours {row.ours:7.2f} s  ratio {row.ratio:5.2f}"
        f"  (reach {row.reach}: {verdict})  node {row.peak // MIB} MiB"
    )


def main() -> None:
    """Measure and print"""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.path.join(calling.REPOSITORY, "build")) as work:
        bench = Bench(work)
        rows = [
            local(bench, "local raw", material.sparse_raw(), "raw"),
            local(bench, "local qcow2", material.sparse_qcow2(), "qcow2"),
            local(bench, "local qcow2, compressed", material.packed_qcow2(), "qcow2"),
        ]
        for suffix in material.COMPRESSORS:
            material.compressed(suffix)
        with stages.serving(material.FOLDER, work) as served:
            rows += [streamed(bench, served, suffix) for suffix in material.COMPRESSORS]
            rows.append(at_once(bench, served, f"{AT_ONCE} disks at once", img_properties=NO_TASKS))
            rows.append(at_once(bench, served, f"{AT_ONCE} instances at once"))
        peak = max(row.peak for row in rows)
        print(f"{'node peak of all':24}{peak // MIB} MiB (reach 80: {'reached' if peak <= 80 * MIB else 'MISSED'})")
