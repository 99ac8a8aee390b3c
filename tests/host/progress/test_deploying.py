"""Whole deployments, with a scripted QEMU: what a monitor program, `status`, `watch` and a terminal see of them"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helper_host import outcomes, runs
from tests import calling
from tests.host import web
from tests.host.deploying import CANARY, DISK_SIZE, Bench, checked, failed, wait_for
from tests.host.progress.pseudo_terminal import Terminal, running
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

SLOW = """
import os, time
from helper_host.image import image
def read(self, *arguments, read=image.Image.read):
    time.sleep(0.25)
    return read(self, *arguments)
image.Image.read = read
"""
WAITING, REST = fake_qemu.good("hostname")[:4], fake_qemu.good("hostname")[4:]
"""A helper in the middle of a step, and what it does after it."""


class Watched(Bench):
    """A bench with the tools that look at it"""

    def monitor(self, script: str) -> None:
        """The settings name a monitor program"""
        path = self.folder / "monitor"
        path.write_text(f"#!/bin/sh\ncd {self.folder}\n{script}\n")
        path.chmod(0o755)
        self.settings["progress_monitor"] = str(path)

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "told").read_text().splitlines()]

    def argv(self, *words: str) -> list[str]:
        """Our command with this bench's settings"""
        lines = [
            f"import sys; sys.path[:0] = {[os.path.join(calling.REPOSITORY, part) for part in ('host', 'helper')]!r}",
            f"from helper_host import paths; paths.SETTINGS = {str(self.folder / 'settings')!r}",
            f"from helper_host.commands.tool import run; sys.exit(run({list(words)!r}))",
        ]
        return [sys.executable, "-I", "-c", "\n".join(lines)]

    def tool(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=60, check=False)

    def status(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.tool("status", "--json").stdout)
        return state

    def state(self) -> dict[str, Any]:
        """Of the one deployment under way, {} without"""
        try:
            seen = runs.look(str(self.folder / "run"))
        except OSError:
            return {}
        return dict(seen[0].state) if seen else {}

    def until(self, phase: str) -> None:
        assert wait_for(lambda: self.state().get("phase") == phase), self.state()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Watched]:
    with checked(Watched(tmp_path)) as bench:
        yield bench


def grow(bench: Bench) -> None:
    """An image of several pieces"""
    bench.image.write_bytes(b"body " * (DISK_SIZE // 5) + b"12345"[: DISK_SIZE % 5])


# --- the monitor program ----------------------------------------------------------------------------------------------


def test_a_monitor_gets_the_whole_story(bench: Watched) -> None:
    bench.monitor("cat >told")
    bench.prelude += SLOW + "from helper_host.progress import program; program.SECONDS = 0.1\n"
    grow(bench)
    steps = fake_qemu.good()
    steps.insert(3, ["say", {"type": "log", "level": "warning", "step": "inspect", "message": "no swap", "t": 1.6}])
    ended = bench.create(steps)
    assert ended.code == 0, ended.log
    told = bench.told()
    assert all(isinstance(each["timestamp"], float) for each in told)
    copied = [each for each in told if each["type"] == "image-copy-progress"]
    assert len(copied) > 2
    positions = [each["position"] for each in copied]
    assert positions == sorted(positions)
    assert copied[-1]["position"] == copied[-1]["total"] == DISK_SIZE
    assert copied[-1]["progress"] == 100.0
    rest = [each for each in told if each["type"] != "image-copy-progress"]
    said = [(each.get("subtype"), each.get("task", each.get("messages"))) for each in rest]
    start = said.index((None, ["Starting image copy..."]))
    assert said[start:] == [
        (None, ["Starting image copy..."]),
        (None, ["Image copy finished."]),
        ("warning", ["inspect: no swap"]),
        *((f"task-{word}", name) for name in ("inspect", "hostname", "umount") for word in ("start", "end")),
        (None, ["Image customization finished successfully."]),
    ]
    assert CANARY not in (bench.folder / "told").read_text()


def test_a_monitor_learns_of_a_failed_task(bench: Watched) -> None:
    bench.monitor("cat >told")
    ended = bench.create(fake_qemu.failing("password"))
    failed(ended, "E-TASK")
    told = bench.told()
    assert [each.get("subtype") for each in told[-3:]] == ["task-start", "error", None]
    assert told[-1]["type"] == "image-error"
    assert told[-1]["messages"] == [ended.last]


@pytest.mark.timed
@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("exit 1", "failed (exit code 1)"),
        ("exec sleep 600", "was still at work"),
        ("trap '' TERM; sleep 602 & cat >/dev/null; sleep 600", "was still at work"),
        ("exec yes", "was still at work"),
        ("cat >/dev/full", "failed (exit code 1)"),
    ],
)
def test_a_monitor_that_misbehaves_harms_nothing(bench: Watched, script: str, word: str) -> None:
    bench.monitor(script)
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert bench.is_deployed()
    assert ended.seconds < 10
    assert word in ended.log
    assert not subprocess.run(["pgrep", "-f", "sleep 602"], capture_output=True, check=False).stdout


def test_a_monitor_that_is_not_there_or_not_roots(bench: Watched) -> None:
    bench.settings["progress_monitor"] = str(bench.folder / "nowhere")
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert "could not be started (No such file or directory)" in ended.log
    bench.monitor(f"touch {bench.folder}/ran")
    (bench.folder / "monitor").chmod(0o777)
    ended = bench.create(fake_qemu.good())
    assert ended.code == 0, ended.log
    assert "can be written by others than root" in ended.log
    assert not (bench.folder / "ran").exists()


@pytest.mark.timed
def test_a_signal_ends_it_in_spite_of_a_monitor_that_hangs(bench: Watched) -> None:
    bench.monitor("trap '' TERM; exec sleep 600")
    process = bench.start([*WAITING, ["hang"]])
    bench.until("helper: hostname")
    since = time.monotonic()
    process.terminate()
    failed(bench.finish(process, since), "E-INTERRUPTED", within=5)
    assert bench.head_is_empty()


def test_a_monitor_is_gone_when_its_deployment_was_killed(bench: Watched) -> None:
    bench.monitor("echo $$ >pid; trap '' TERM; sleep 600; sleep 600")
    process = bench.start([*WAITING, ["hang"]])
    bench.until("helper: hostname")
    pid = int((bench.folder / "pid").read_text())
    process.kill()
    process.communicate()
    assert wait_for(lambda: not os.path.exists(f"/proc/{pid}"))
    assert wait_for(lambda: not bench.state() or not bench.status()["deployments"][0]["alive"])
    assert bench.create(fake_qemu.good()).code == 0, "and the next one can begin"


# --- status and watch -------------------------------------------------------------------------------------------------


def test_status_of_a_deployment_from_its_beginning_to_its_end(bench: Watched) -> None:
    bench.prelude += SLOW
    grow(bench)
    began = time.monotonic()
    process = bench.start([*WAITING, ["sleep", 2], *REST])
    bench.until("writing image")
    assert wait_for(lambda: bench.state().get("done", 0) > 0)
    (each,) = bench.status()["deployments"]
    assert (each["instance"], each["action"], each["alive"]) == (calling.INSTANCE, "create", True)
    assert each["pid"] == process.pid
    assert each["image"] == str(bench.image)
    if each["phase"] == "writing image":
        assert 0 < each["done"] <= each["total"] == DISK_SIZE
    bench.until("helper: hostname")
    table = bench.tool("status").stdout
    assert re.search(rf"web\.example\.org +create +helper: hostname +\d+ s +{process.pid}\n", table), table
    ended = bench.finish(process, began)
    assert ended.code == 0, ended.log
    after = bench.status()
    assert after["deployments"] == []
    assert after["ended"][calling.INSTANCE]["error"] == ""
    assert any("write image" in line for line in after["ended"][calling.INSTANCE]["timeline"])
    assert re.search(
        r"No deployment is under way\.\n\nended:\n  web\.example\.org  done \d s ago", bench.tool("status").stdout
    )
    assert CANARY not in (bench.folder / "run" / f"{calling.INSTANCE}.last").read_text()


def test_the_nodes_hooks_are_a_phase_too(bench: Watched) -> None:
    hooks = bench.folder / "hooks"
    hooks.mkdir(mode=0o755)
    (hooks / "10-slow").write_text("#!/bin/sh\nsleep 1\n")
    (hooks / "10-slow").chmod(0o755)
    bench.settings["node_hooks"] = str(hooks)
    process = bench.start(fake_qemu.good())
    bench.until("hook 10-slow")
    watched = bench.tool("watch", calling.INSTANCE)
    assert (watched.returncode, watched.stdout.splitlines()[-1]) == (0, "web.example.org: done")
    assert process.wait(20) == 0
    process.communicate()


def test_the_run_folder_of_a_variant_is_looked_at_too(bench: Watched) -> None:
    variants = bench.folder / "settings" / "variants"
    variants.mkdir(parents=True)
    (variants / "quick.toml").write_text(f'run_folder = "{bench.folder}/other-run"\n')
    process = bench.start([*WAITING, ["sleep", 1.5], *REST], OS_VARIANT="quick", INSTANCE_OS="helper+quick")
    assert wait_for(lambda: [each["instance"] for each in bench.status()["deployments"]] == [calling.INSTANCE])
    process.communicate()
    assert bench.status()["ended"][calling.INSTANCE]["error"] == ""


def test_watch_until_all_is_well(bench: Watched) -> None:
    process = bench.start([*WAITING, ["sleep", 1.5], *REST])
    bench.until("helper: hostname")
    watched = bench.tool("watch", calling.INSTANCE)
    assert watched.returncode == 0, watched
    lines = watched.stdout.splitlines()
    assert lines[0].startswith("web.example.org: helper: hostname, for ")
    assert lines[-1] == "web.example.org: done"
    assert process.wait(30) == 0
    process.communicate()


def test_watch_a_failure_and_without_a_name(bench: Watched) -> None:
    process = bench.start([*WAITING, ["sleep", 1.5], *fake_qemu.failing("hostname")[4:]])
    bench.until("helper: hostname")
    watched = bench.tool("watch")
    assert watched.returncode == 1
    assert "web.example.org: failed: E-TASK: It went wrong" in watched.stdout
    process.communicate()
    assert "failed" in bench.tool("status").stdout


def test_watch_on_a_terminal_has_a_live_bar(bench: Watched) -> None:
    bench.prelude += SLOW
    grow(bench)
    process = bench.start([*WAITING, ["sleep", 1.5], *REST])
    bench.until("writing image")
    terminal = Terminal(running(bench.argv("watch", calling.INSTANCE)))
    assert terminal.wait() == 0
    assert re.search(r"web\.example\.org writing image: +\d+%\|.*/16\.0M \[00:0\d<", terminal.text), terminal.text
    assert "helper: hostname 1 s" in terminal.text, "it goes on by itself"
    assert terminal.lines == ["web.example.org: done"], "the bar is gone"
    process.communicate()


def test_ctrl_c_is_quiet(bench: Watched) -> None:
    process = bench.start([*WAITING, ["hang"]])
    bench.until("helper: hostname")
    terminal = Terminal(running(bench.argv("watch")))
    assert terminal.until(lambda text: "hostname" in text)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 130
    assert terminal.lines == []
    process.terminate()
    process.communicate()


def test_what_is_not_being_deployed(bench: Watched) -> None:
    assert bench.create(fake_qemu.good()).code == 0
    ended = bench.tool("watch", calling.INSTANCE)
    assert ended.returncode == 3
    assert re.fullmatch(r"web\.example\.org is not being deployed on this node \(done \d s ago\)\.\n", ended.stderr)
    assert bench.tool("watch", "other.example.org").stderr == "other.example.org is not being deployed on this node.\n"
    nothing = bench.tool("watch")
    assert (nothing.returncode, nothing.stdout) == (3, "")
    assert bench.tool("watch", "a", "b").returncode == 2
    assert bench.tool("status", "--xml").returncode == 2


def test_a_killed_one_is_dead_until_it_is_swept(bench: Watched) -> None:
    process = bench.start([*WAITING, ["hang"]])
    bench.until("helper: hostname")
    watching = subprocess.Popen(bench.argv("watch", calling.INSTANCE), stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    assert "hostname" in watching.stdout.readline()
    process.kill()
    process.communicate()
    assert watching.wait(20) == 1
    assert watching.stdout.read().endswith(f"web.example.org: failed: {outcomes.DIED}\n")
    assert wait_for(lambda: not bench.qemus())
    assert wait_for(lambda: not bench.status()["deployments"][0]["alive"])
    assert "dead: helper: hostname" in bench.tool("status").stdout
    again = bench.start([*WAITING, ["sleep", 1.0], *REST], INSTANCE_NAME="db.example.org")
    assert wait_for(lambda: [each["instance"] for each in bench.status()["deployments"]] == ["db.example.org"])
    assert bench.status()["ended"][calling.INSTANCE]["error"] == outcomes.DIED
    again.communicate()


def test_two_at_once(bench: Watched) -> None:
    other = bench.folder / "other-disk"
    other.write_bytes(bytes(DISK_SIZE))
    scenario = [*WAITING, ["sleep", 2.5], *REST]
    processes = [
        bench.start(scenario),
        bench.start(scenario, INSTANCE_NAME="db.example.org", DISK_0_PATH=str(other)),
    ]
    assert wait_for(lambda: len(bench.status()["deployments"]) == 2)
    terminal = Terminal(running(bench.argv("watch")))
    assert terminal.wait() == 0
    assert sorted(terminal.lines) == ["db.example.org: done", "web.example.org: done"]
    assert "web.example.org helper: hostname" in terminal.text
    assert "db.example.org helper: hostname" in terminal.text
    for process in processes:
        assert process.wait(30) == 0
        process.communicate()


# --- a terminal, and no room ------------------------------------------------------------------------------------------


def test_create_by_hand_shows_a_bar_and_leaves_the_log(bench: Watched) -> None:
    bench.prelude += SLOW
    grow(bench)
    terminal = Terminal(lambda output: bench.start(fake_qemu.good(), output=output, TERM="xterm"))
    assert terminal.wait(60) == 0, terminal.text
    assert re.search(r"writing image: +\d+%\|.*/16\.0M \[00:0\d<", terminal.text), terminal.text
    assert "helper: hostname ..." in terminal.text
    lines = terminal.lines
    assert [line for line in lines if not re.match(r"\d\d:\d\d:\d\d +\S", line)] == []
    assert not any("%|" in line or line.endswith("...") for line in lines)
    assert lines[-1].split()[1] == "total"


def test_lines_and_nothing_of_a_bar_in_ganetis_log(bench: Watched) -> None:
    bench.prelude += SLOW + "from helper_host.progress import log_lines\n"
    bench.prelude += "log_lines.SECONDS, log_lines.SHARE_SECONDS, log_lines.SHORT = 0.2, 0.2, 0.0\n"
    grow(bench)
    ended = bench.create(fake_qemu.good(), TERM="xterm")
    assert ended.code == 0
    assert re.search(r"writing image: \d+ of 16 MiB \(\d+ %\), [\d.]+ MiB/s, \d s left\n", ended.log), ended.log
    assert re.search(r"writing image: 16 MiB in \d s, [\d.]+ MiB/s\n", ended.log), ended.log
    assert "\r" not in ended.log
    assert "%|" not in ended.log


def test_a_full_run_folder_fails_nothing(bench: Watched) -> None:
    folder = bench.folder / "run"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "none", folder], check=True)
    try:
        with pytest.raises(OSError, match="No space"):
            (folder / "filler").write_bytes(bytes(64 * 1024))
        ended = bench.create(fake_qemu.good())
        assert ended.code == 0, ended.log
        assert bench.is_deployed()
        assert sorted(os.listdir(folder)) == ["filler"]
    finally:
        subprocess.run(["umount", folder], check=True)


# --- downloads --------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[web.Server]:
    server = web.Server(tmp_path, tls=False)
    yield server
    server.close()


def dripping(content: bytes, seconds: float, *, sized: bool = True) -> web.Answer:
    """`content` in so many seconds, in 20 pieces; without its length if it isn't `sized`"""

    def answer(call: web.Call) -> None:
        length = f"Content-Length: {len(content)}\r\n" if sized else ""
        call.say(f"HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n".encode())
        step = -(-len(content) // 20)
        for start in range(0, len(content), step):
            call.say(content[start : start + step])
            time.sleep(seconds / 20)

    return answer


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("cache", [0, 100])
def test_a_slow_download_shows_how_far_it_is(bench: Watched, server: web.Server, cache: int, sized: bool) -> None:
    grow(bench)
    content = bench.image.read_bytes()
    server.answers["/system.raw"] = dripping(content, 2.0, sized=sized)
    bench.monitor("cat >told")
    bench.parameters["image"] = server.url("/system.raw").replace("http://", "http://user:hidden@")
    # without a length nothing else tells a part of it from all of it
    bench.parameters["image_checksum"] = f"sha256:{hashlib.sha256(content).hexdigest()}"
    bench.settings |= {"cache_folder": str(bench.folder / "cache"), "cache_size_mib": cache}
    process = bench.start(fake_qemu.good())
    seen: list[tuple[str, int, int]] = []
    while process.poll() is None:
        state = bench.state()
        if "done" in state:
            seen.append((state["phase"], state["done"], state["total"]))
        assert "hidden" not in json.dumps(state)
        time.sleep(0.05)
    log = process.communicate()[0].decode()
    assert process.returncode == 0, log
    assert bench.disk.read_bytes() == content
    writing = [(done, total) for phase, done, total in seen if phase == "writing image"]
    assert len({done for done, _ in writing}) > 3, seen
    assert {total for _, total in writing} == {DISK_SIZE if sized else 0}
    assert writing == sorted(writing)
    copied = [each for each in bench.told() if each["type"] == "image-copy-progress"]
    assert copied[-1]["position"] == copied[-1]["total"] == DISK_SIZE
    assert "hidden" not in log + (bench.folder / "told").read_text()
    assert "hidden" not in (bench.folder / "run" / f"{calling.INSTANCE}.last").read_text()


def test_a_download_that_must_be_complete_first_is_a_phase(bench: Watched, server: web.Server) -> None:
    grow(bench)
    packed = bench.folder / "system.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", bench.image, packed], check=True)
    server.answers["/system.qcow2"] = dripping(packed.read_bytes(), 2.0)
    bench.parameters["image"] = server.url("/system.qcow2")
    bench.settings |= {"cache_folder": str(bench.folder / "cache")}
    process = bench.start(fake_qemu.good())
    bench.until("fetching image")
    assert wait_for(lambda: 0 < bench.state().get("done", 0) < packed.stat().st_size)
    assert "fetching image" in bench.tool("status").stdout
    log = process.communicate()[0].decode()
    assert process.returncode == 0, log
    assert "fetch image" in log
