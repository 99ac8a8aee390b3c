"""Every program that a process and all that it starts become, with arguments and environment, by strace"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

STRACE = "/usr/bin/strace"
PRELUDE = """
import os, subprocess, time
def spy(path):
    words = ["-f", "-qq", "-v", "-xx", "-s", "1000000", "-e", "trace=execve,execveat", "-e", "signal=none"]
    subprocess.Popen([{strace!r}, *words, "-o", path, "-p", str(os.getpid())], env={{}}, start_new_session=True)
    def traced():
        with open("/proc/self/status") as file:
            return any(line.split() != ["TracerPid:", "0"] for line in file if line.startswith("TracerPid:"))
    while not traced():
        time.sleep(0.01)
spy({path!r})
"""
"""Runs in the process that is to be watched, before anything else."""
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Program(NamedTuple):
    """One execve(2)"""

    arguments: tuple[bytes, ...]
    environment: tuple[bytes, ...]


def prelude(path: Path) -> str:
    """Code that has strace write to `path`"""
    return PRELUDE.format(strace=STRACE, path=str(path))


def programs(path: Path) -> list[Program]:
    """What strace saw, in order; tries that failed too"""
    found = []
    for line in path.read_text().splitlines():
        _, call, rest = line.partition("execve(") if "execve(" in line else line.partition("execveat(")
        if not call or '["' not in rest:
            continue
        _, _, lists = rest.partition("[")
        arguments, _, environment = lists.partition("], [")
        found.append(Program(_texts(arguments), _texts(environment)))
    return found


def _texts(text: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(each.replace("\\x", "")) for each in TEXT.findall(text))
