"""The bar on a terminal: a real one, with what a person sees on it"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import pytest

from tests.host.progress.pseudo_terminal import Terminal, running, screen

pytestmark = pytest.mark.programs

PRELUDE = f"""
import sys, time, os, threading
sys.path[:0] = {sys.path!r}
from helper_host.log import Log
from helper_host.monitor import Monitor
from helper_host.progress.base import Outcome
log = Log()
monitor = Monitor(log)
"""
COPY = """
monitor.start("boot (kvm)", "helper")
for step in range(1, 21):
    monitor.progress("writing image", step << 25, 20 << 25)
    if step % 5 == 0:
        log.info(f"line {step}")
    time.sleep(0.03)
monitor.guest_start("hostname")
monitor.guest_span("hostname", 1.0, 2.0, "")
"""


def program(code: str, after: str = "") -> list[str]:
    return [sys.executable, "-c", f"{PRELUDE}{code}\nmonitor.close(Outcome()){after}"]


def test_a_bar_with_bytes_rate_and_time_above_which_the_log_is_whole() -> None:
    terminal = Terminal(running(program(COPY, "\nlog.info('the end')")))
    assert terminal.wait() == 0
    assert re.search(r"writing image:  \d\d%\|.*\| +\d+M/640M \[00:00<00:0\d, +[\d.]+[MG]B/s\]", terminal.text)
    assert "boot (kvm) ..." in terminal.text
    assert "helper: hostname ..." in terminal.text
    shown = [line.partition(" ")[2] for line in terminal.lines]
    assert shown == ["line 5", "line 10", "line 15", "line 20", "the end"], "the bar is gone, and in no line"


def test_the_bar_is_there_between_lines() -> None:
    code = "monitor.progress('writing image', 5 << 20, 10 << 20); log.info('above'); time.sleep(60)"
    terminal = Terminal(running(program(code)))
    assert terminal.until(lambda text: "above" in text)
    assert terminal.until(lambda text: len(screen(text)) == 2 and "50%" in screen(text)[1])
    terminal.process.kill()
    terminal.wait()


def test_an_unknown_size() -> None:
    code = "for step in range(1, 10): monitor.progress('fetching image', step << 25, 0); time.sleep(0.05)"
    terminal = Terminal(running(program(code)))
    assert terminal.wait() == 0
    assert re.search(r"fetching image: \d+M \[00:00, +[\d.]+[MG]B/s\]", terminal.text)
    assert terminal.lines == []


def test_a_failure_leaves_no_bar_either() -> None:
    code = "monitor.progress('writing image', 5, 10); log.warning('E-X'); raise SystemExit(monitor.close(Outcome('E')))"
    terminal = Terminal(running(program(code)))
    assert terminal.wait() == 0
    assert [line.partition(" ")[2] for line in terminal.lines] == ["warning: E-X"]


def test_no_thread_and_no_multiprocessing() -> None:
    after = "\nprint('multiprocessing' in sys.modules, threading.active_count())"
    terminal = Terminal(running(program(COPY, after)))
    assert terminal.wait() == 0
    assert terminal.lines[-1] == "False 1"


@pytest.mark.parametrize("where", ["pipe", "dumb"])
def test_no_bar_in_a_log(where: str) -> None:
    after = "\nprint('tqdm' in sys.modules)"
    if where == "dumb":
        ended = Terminal(running(program(COPY, after), term="dumb"))
        assert ended.wait() == 0
        output = ended.text.replace("\r\n", "\n")
    else:
        output = subprocess.run(
            program(COPY, after), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        ).stdout
    assert "\r" not in output
    assert "%|" not in output
    assert output.endswith("False\n"), "what is not needed is not imported"


def test_a_terminal_that_nobody_reads_stops_no_copy() -> None:
    code = """
began = time.monotonic()
for step in range(1, 3000):
    monitor._due.clear()
    monitor.progress("writing image", step << 20, 3000 << 20)
took = time.monotonic() - began
"""
    reader, writer = os.pipe()
    after = f"\nos.write({writer}, f'{{took:.2f}}'.encode())"
    terminal = Terminal(running(program(code, after), pass_fds=(writer,)), reading=False)
    os.close(writer)
    began = time.monotonic()
    with open(reader) as file:
        took = float(file.read())
    assert took < 10
    assert time.monotonic() - began < 20
    terminal.read_on()
    assert terminal.wait() == 0
