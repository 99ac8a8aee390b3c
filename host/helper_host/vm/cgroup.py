"""A control group of its own for QEMU, on nodes that have cgroup v2 with the controllers it needs

The jail's limits stand without it; what it adds is that the guest's memory, secrets among it, is never swapped out, and
a bound on what really is used. On v1 and hybrid nodes, or where the controllers aren't given to the root's children,
there is none and nothing is changed.
"""

from __future__ import annotations

import os
import time

MOUNTS = "/proc/self/mountinfo"
PARENT = "ganeti-instance-helper"
CONTROLLERS = ("memory", "pids")
REMOVE_SECONDS = 2.0


class Cgroup:
    """An own cgroup; `remove` ends whatever is still in it"""

    def __init__(self, path: str) -> None:
        self.path = path

    def remove(self) -> None:
        """Kill what is left in it (cgroup.kill, Linux 5.14) and remove it; never fails: a leftover is harmless"""
        _write(self.path, "cgroup.kill", "1")
        deadline = time.monotonic() + REMOVE_SECONDS
        while True:
            try:
                os.rmdir(self.path)
                return
            except FileNotFoundError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.01)


def create(name: str, memory: int, processes: int) -> Cgroup | None:
    """The cgroup `name`: at most `memory` bytes, no swap, `processes` threads; None where there is no such thing"""
    mount = unified_mount()
    if mount is None or not _has(os.path.join(mount, "cgroup.subtree_control"), CONTROLLERS):
        return None
    parent = os.path.join(mount, PARENT)
    path = os.path.join(parent, name)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError:
        return None
    enabled = _write(parent, "cgroup.subtree_control", " ".join(f"+{controller}" for controller in CONTROLLERS))
    limits = {"memory.max": memory, "memory.swap.max": 0, "pids.max": processes}
    # swap accounting may be switched off; the others are what the cgroup is for
    results = {file: _write(path, file, str(value)) for file, value in limits.items()}
    if enabled and results["memory.max"] and results["pids.max"]:
        return Cgroup(path)
    Cgroup(path).remove()
    return None


def unified_mount() -> str | None:
    """Where cgroup v2 is mounted (format: proc_pid_mountinfo(5)), or None"""
    with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            if after.split(" ", 1)[0] == "cgroup2":
                return before.split(" ")[4]
    return None


def _has(path: str, names: tuple[str, ...]) -> bool:
    try:
        with open(path, encoding="ascii") as file:
            return set(names) <= set(file.read().split())
    except OSError:
        return False


def _write(folder: str, name: str, value: str) -> bool:
    try:
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(value)
    except OSError:
        return False
    return True
