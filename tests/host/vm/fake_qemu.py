"""A QEMU that plays a scenario: it greets on QMP, speaks on the port, and ends as it is told, without any VM

`program(folder, scenario)` makes an executable that stands in for QEMU (`MachineSpec.program`). It finds its
descriptors where the jail puts them for the real one. A scenario is a list of steps, each a list of a word and its
values:

    ["say", {...}]         an event as an object; "$NONCE" in it becomes the job's nonce, read from the config drive
    ["raw", "text"]        text on the port as it is (latin-1), no newline added
    ["flood", bytes]       that many bytes of "x" on the port, or until nobody listens
    ["drip", "text", s]    text on the port, a byte every s seconds
    ["port", "close"]      let go of the port
    ["wait-go"]            wait for the node's word
    ["qmp", "NAME", {...}] an event of the monitor
    ["raw-qmp", "text"]    text on the monitor
    ["console", "text"]    text on the serial console
    ["shell"]              answer a line typed at the console
    ["stderr", "text"]     what QEMU says when it fails
    ["write", disk, offset, "text"]   on the instance's disk
    ["copy-job", disk, offset, size]  the config drive's first bytes, onto the instance's disk
    ["sleep", seconds]   ["hang"]   ["signal", number]   ["exit", code]

Standard library only: the file is copied into the program.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import Any

CHANNEL, QMP, CONSOLE, JOB, DISKS = 3, 4, 5, 7, 8

HELLO: list[Any] = ["say", {"type": "hello", "protocol": 1, "agent": "0.1.0", "t": 1.0}]
SHUTDOWN: list[Any] = ["qmp", "SHUTDOWN", {"guest": True, "reason": "guest-shutdown"}]


def step(name: str, t: float = 2.0, outcome: str = "done") -> list[Any]:
    """A step of the plan, begun and ended"""
    return [
        ["say", {"type": "step-start", "step": name, "t": t}],
        ["say", {"type": "step-end", "step": name, "outcome": outcome, "detail": "", "t": t}],
    ]


def result(failure: dict[str, str] | None = None, nonce: str = "$NONCE", t: float = 3.0) -> list[Any]:
    """The last event"""
    return ["say", {"type": "result", "nonce": nonce, "failure": failure, "t": t}]


def good(*steps: str) -> list[Any]:
    """A helper that does its work"""
    names = steps or ("inspect", "hostname", "umount")
    plan = ["say", {"type": "plan", "steps": list(names), "t": 1.5}]
    return [HELLO, ["wait-go"], plan, *(part for name in names for part in step(name)), result(), SHUTDOWN, ["exit", 0]]


def failing(name: str, code: str = "E-TASK") -> list[Any]:
    """A helper whose step `name` fails, and says so properly"""
    failure = {"step": name, "code": code, "cause": "It went wrong", "remedy": "mend it", "output": "ls: no such file"}
    plan = ["say", {"type": "plan", "steps": [name], "t": 1.5}]
    return [HELLO, ["wait-go"], plan, *step(name, outcome="failed"), result(failure), SHUTDOWN, ["exit", 0]]


def program(folder: str | os.PathLike[str], scenario: list[Any]) -> str:
    """The path of an executable that plays `scenario`"""
    path = os.path.join(folder, "fake-qemu")
    with open(__file__, encoding="utf-8") as file:
        source = file.read()
    # Debian's own interpreter: it works in the jail, where only /usr is shown
    script = f"#!/usr/bin/python3 -IS\n{source}\nplay(json.loads({json.dumps(scenario)!r}))\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(script)
    return path


# --- what runs as QEMU ----------------------------------------------------------------------------------------------


def play(scenario: list[Any]) -> None:
    """Act as told; without an ["exit", code] at the end the exit code is 0"""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.write(QMP, b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
    os.read(QMP, 4096)
    os.write(QMP, b'{"return": {}}\r\n')
    for word, *values in scenario:
        try:
            act(word, values)
        except OSError:
            pass  # nobody listens any more
    os._exit(0)


def act(word: str, values: list[Any]) -> None:
    """One step of a scenario"""
    match word, *values:
        case "say", event:
            send(CHANNEL, json.dumps(event).replace("$NONCE", nonce()).encode() + b"\n")
        case "raw", text:
            send(CHANNEL, text.encode("latin-1"))
        case "flood", size:
            block = b"x" * 65536
            for _ in range(0, size, len(block)):
                send(CHANNEL, block)
        case "drip", text, seconds:
            for byte in text.encode("latin-1"):
                send(CHANNEL, bytes([byte]))
                time.sleep(seconds)
        case "port", "close":
            os.close(CHANNEL)
        case ("wait-go",):
            while not os.read(CHANNEL, 4096).endswith(b"\n"):
                pass
        case "qmp", name, data:
            send(QMP, json.dumps({"event": name, "data": data, "timestamp": {}}).encode() + b"\r\n")
        case "raw-qmp", text:
            send(QMP, text.encode("latin-1"))
        case "console", text:
            send(CONSOLE, text.encode())
        case ("shell",):
            send(CONSOLE, b"you said " + os.read(CONSOLE, 4096))
        case "stderr", text:
            send(2, text.encode())
        case "write", disk, offset, text:
            os.pwrite(DISKS + disk, text.encode(), offset)
        case "copy-job", disk, offset, size:
            os.pwrite(DISKS + disk, os.pread(JOB, size, 0), offset)
        case "sleep", seconds:
            time.sleep(seconds)
        case ("hang",):
            while True:
                time.sleep(1000)
        case "signal", number:
            os.kill(os.getpid(), number)
        case "exit", code:
            os._exit(code)
        case _:
            os._exit(99)


def send(descriptor: int, data: bytes) -> None:
    """All of `data`"""
    while data:
        data = data[os.write(descriptor, data) :]


def nonce() -> str:
    """The job's, from the config drive; "" if it holds no job"""
    drive = os.pread(JOB, 1 << 20, 0)
    found = re.search(rb'"nonce": *"([^"]*)"', drive)
    return found.group(1).decode() if found else ""
