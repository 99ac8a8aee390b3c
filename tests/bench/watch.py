"""Peak memory of a process and its descendants, by polling /proc"""

from __future__ import annotations

import threading
from types import TracebackType

PERIOD = 0.02
"""Seconds between two looks; VmHWM is a high-water mark, so only a process that lives shorter is missed."""


class PeakMemory:
    """Polls VmHWM (proc(5)) of `pid` and of all below it; `qemu` and `node` hold the peaks in bytes"""

    def __init__(self, pid: int) -> None:
        self.qemu = 0
        self.node = 0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.wait(PERIOD):
            for pid in [self._pid, *_descendants(self._pid)]:
                name, peak = _status(pid)
                if name.startswith("qemu"):
                    self.qemu = max(self.qemu, peak)
                else:
                    self.node = max(self.node, peak)


def _descendants(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return children + [below for child in children for below in _descendants(child)]


def _status(pid: int) -> tuple[str, int]:
    name, peak = "", 0
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("Name:"):
                    name = line.split(maxsplit=1)[1].strip()
                elif line.startswith("VmHWM:"):
                    peak = int(line.split()[1]) * 1024
    except OSError:
        pass
    return name, peak
