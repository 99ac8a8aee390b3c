"""A whole deployment: medians of interleaved rounds, their ratio, and where the time went

(a) the floor: `qemu-img convert -n` and one bare boot to power off; (b) our whole `create`. Each round does both, so
that a busy machine weighs on both alike.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests import calling
from tests.bench import floor
from tests.bench.watch import PeakMemory

GIB = 1 << 30
MIB = 1 << 20
DISK_SIZE = 4 * GIB
ROUNDS = 5
IMAGE = os.path.join(calling.REPOSITORY, "build", "images", "debian-msdos.raw")
REACH, AIM = 2.0, 1.2


class Round(NamedTuple):
    """One round's figures; seconds and bytes"""

    convert: float
    boot: float
    create: float
    qemu_peak: int
    node_peak: int
    allocated: int
    hello: float
    log: str


def one_round(work: str) -> Round:
    """The floor and our create, once each"""
    disk = calling.Disk(os.path.join(work, "disk"), DISK_SIZE)
    helper = calling.helper_image_folder()
    floor.fresh_disk(disk.path, disk.size)
    convert = floor.convert_seconds(IMAGE, "raw", disk.path)
    boot = floor.boot_seconds(os.path.join(helper, "vmlinuz"), os.path.join(work, "floor-initrd"))
    floor.fresh_disk(disk.path, disk.size)
    parameters = {"password": "correct horse battery staple", "ssh_keys": calling.KEY, "dns_servers": "10.77.0.2"}
    start = time.monotonic()
    process = calling.start(
        "create",
        calling.environment(disk, image=IMAGE, users="root", **parameters),
        os.path.join(work, "settings"),
        accel="tcg",
        helper_image=helper,
        image_folders=[os.path.dirname(IMAGE)],
        run_folder=os.path.join(work, "run"),
    )
    with PeakMemory(process.pid) as peak:
        output, _ = process.communicate(timeout=300)
    seconds = time.monotonic() - start
    log = output.decode("utf-8", "replace")
    if process.returncode != 0:
        sys.exit(f"create failed:\n{log}")
    hello = re.search(r"kernel to hello ([0-9.]+) s", log)
    allocated = floor.disk_bytes(disk.path)
    return Round(convert, boot, seconds, peak.qemu, peak.node, allocated, float(hello[1]) if hello else 0.0, log)


def median(rounds: Sequence[Round], field: str) -> float:
    """The median of one field"""
    return float(statistics.median(getattr(each, field) for each in rounds))


def table(rounds: Sequence[Round]) -> str:
    """The figures for people"""
    base = statistics.median(each.convert + each.boot for each in rounds)
    ours = median(rounds, "create")
    ratio = statistics.median(each.create / (each.convert + each.boot) for each in rounds)
    rows: Mapping[str, str] = {
        "(a) floor": f"{base:.2f} s  (convert {median(rounds, 'convert'):.2f}, bare boot {median(rounds, 'boot'):.2f})",
        "(b) create": f"{ours:.2f} s  (min {min(each.create for each in rounds):.2f})",
        "b/a": f"{ratio:.2f}  (reach {REACH}, aim {AIM})",
        "hello": f"{median(rounds, 'hello'):.2f} s after the kernel's start",
        "QEMU peak": f"{max(each.qemu_peak for each in rounds) // MIB} MiB  (below 400)",
        "node peak": f"{max(each.node_peak for each in rounds) // MIB} MiB  (below 80)",
        "allocated": f"{rounds[-1].allocated // MIB} MiB of the disk's file",
    }
    return "\n".join(f"{name:12}{value}" for name, value in rows.items())


def main(rounds: int = ROUNDS) -> None:
    """Measure and print"""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=os.path.join(calling.REPOSITORY, "build")) as work:
        floor.busybox_initrd(os.path.join(work, "floor-initrd"))
        # into the page cache, for both alike
        subprocess.run(["cat", IMAGE], stdout=subprocess.DEVNULL, check=True)
        measured = []
        for number in range(rounds):
            each = one_round(work)
            measured.append(each)
            print(
                f"round {number + 1}: floor {each.convert + each.boot:.2f} s, create {each.create:.2f} s, "
                f"ratio {each.create / (each.convert + each.boot):.2f}",
                flush=True,
            )
    typical = sorted(measured, key=lambda each: each.create)[len(measured) // 2]
    print()
    print(table(measured))
    print("\nwhere the median create's time went:")
    print(typical.log[typical.log.find("timeline") :].rstrip())
