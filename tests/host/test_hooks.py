"""Node hooks: which are found, what they get, and that none outlives its time; real programs"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helper_host import hooks
from helper_host.errors import ProviderError
from helper_host.ganeti import parameters
from helper_host.hooks import Hooks
from helper_host.log import Log
from tests import calling

pytestmark = pytest.mark.programs


class Bench:
    """A folder of hooks, and a log"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "hooks"
        self.folder.mkdir(mode=0o755)
        self.stream = io.StringIO()
        self.log = Log(stream=self.stream)
        self.variables: dict[str, str] = {"PATH": calling.PATH}

    def add(self, name: str, text: str, mode: int = 0o755) -> str:
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def shell(self, name: str, *lines: str) -> str:
        return self.add(name, "\n".join(["#!/bin/sh", *lines, ""]))

    def run(self, path: str, seconds: float = 10) -> list[str]:
        """What it said"""
        hooks.run(path, self.variables, seconds, self.log)
        return self.said()

    def failure(self, path: str, seconds: float = 10) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            hooks.run(path, self.variables, seconds, self.log)
        assert caught.value.code == "E-HOOK"
        assert path in caught.value.cause
        return caught.value

    def said(self) -> list[str]:
        return [line.partition(" ")[2] for line in self.stream.getvalue().splitlines()]

    def found(self) -> list[str]:
        return [os.path.basename(path) for path in hooks.find(str(self.folder)).programs]

    def refusal(self) -> str:
        with pytest.raises(ProviderError) as caught:
            hooks.find(str(self.folder))
        assert caught.value.code == "E-HOOK"
        return str(caught.value)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def is_gone(pid: int) -> bool:
    """Whether it has ended, or is about to: the kernel takes a moment for what was killed"""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            if " Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


# --- which are found --------------------------------------------------------------------------------------------------


def test_the_rules_of_run_parts(bench: Bench) -> None:
    for name in ("20-b", "10-a", "Z", "under_score", "a", "9"):
        bench.shell(name)
    for name in ("hook.sh", "backup~", "a.dpkg-old", ".hidden", "b c", "ümlaut"):
        bench.shell(name)
    bench.add("plain", "#!/bin/sh\n", 0o644)
    (bench.folder / "folder").mkdir()
    (bench.folder / "dangling").symlink_to("nowhere")
    (bench.folder / "link").symlink_to("10-a")
    assert bench.found() == ["10-a", "20-b", "9", "Z", "a", "link", "under_score"]


@pytest.mark.skipif(not os.path.exists("/usr/bin/run-parts"), reason="debianutils is on every Debian")
def test_the_same_as_run_parts_itself(bench: Bench) -> None:
    for name in ("20-b", "10-a", "Z", "_", "-x", "a.sh", "a~", "under_score", "9", "A"):
        bench.shell(name)
    bench.add("plain", "#!/bin/sh\n", 0o644)
    told = subprocess.run(["/usr/bin/run-parts", "--test", bench.folder], capture_output=True, text=True, check=True)
    assert [os.path.basename(line) for line in told.stdout.splitlines()] == bench.found()


def test_what_is_passed_over_is_told(bench: Bench) -> None:
    bench.shell("register.sh")
    bench.add("plain", "#!/bin/sh\n", 0o644)
    found = hooks.find(str(bench.folder))
    hooks.warn(found, "/dev/xen/disk", bench.log)
    assert "plain (is not executable), register.sh (names may have letters, digits, _ and - only)" in bench.said()[-1]


def test_the_warning_names_the_folder_the_hooks_and_the_disk(bench: Bench) -> None:
    bench.shell("10-register")
    hooks.warn(hooks.find(str(bench.folder)), "/dev/vg/disk0", bench.log)
    text = bench.stream.getvalue()
    assert text.count("warning: NODE HOOKS: ") == 3
    for word in (str(bench.folder), "as root: 10-register", "/dev/vg/disk0", "anything else on this node"):
        assert word in text


def test_a_folder_that_is_not_there(bench: Bench) -> None:
    bench.folder.rmdir()
    assert "does not exist; make it, or clear node_hooks" in bench.refusal()


def test_a_folder_that_is_a_file(bench: Bench) -> None:
    bench.folder.rmdir()
    bench.folder.write_text("")
    assert "is not a folder" in bench.refusal()


@pytest.mark.parametrize("mode", [0o777, 0o757])
def test_a_folder_that_others_can_write(bench: Bench, mode: int) -> None:
    bench.folder.chmod(mode)
    text = bench.refusal()
    assert f"{bench.folder} can be written by others" in text
    assert "chmod go-w" in text


def test_a_hook_that_others_can_write(bench: Bench) -> None:
    path = bench.shell("a")
    os.chmod(path, 0o757)
    assert f"{path} can be written by others" in bench.refusal()


@pytest.mark.root
def test_a_hook_of_somebody_else(bench: Bench) -> None:
    path = bench.shell("a")
    os.chown(path, 65534, 65534)
    assert f"{path} does not belong to root; chown root:root {path}" in bench.refusal()


def test_a_link_to_where_others_can_write(bench: Bench, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    target = open_to_all / "hook"
    target.write_text("#!/bin/sh\n")
    target.chmod(0o755)
    (bench.folder / "a").symlink_to(target)
    assert f"{bench.folder}/a is in {open_to_all}, which can be written by others" in bench.refusal()


def test_what_others_can_write_and_is_no_hook_is_no_matter(bench: Bench) -> None:
    bench.add("README", "text\n", 0o666)
    assert bench.found() == []


# --- what they get ----------------------------------------------------------------------------------------------------


def test_what_a_hook_gets(bench: Bench) -> None:
    given = calling.environment(
        calling.Disk("/srv/disk0", 1 << 30), image="debian-12", password="s3cr3t", hostname="www", ssh_keys=calling.KEY
    )
    given |= {"OSP_TASK_OPTIONS": "a.b=s3cr3t", "OSP_CUSTOM_TASK": "s3cr3t", "OSP_OTHER": "s3cr3t"}
    shown = parameters.without_secrets(given)
    bench.variables = hooks.environment(shown, disk="/srv/disk0", image_type="qcow2")
    said = bench.run(bench.shell("show", "env"))
    variables = dict(line.removeprefix("hook show: ").split("=", 1) for line in said)
    for name in (*calling.INSTANCE_FACTS, "DISK_COUNT", "DISK_0_PATH", "DISK_0_SIZE", "OSP_IMAGE", "OSP_HOSTNAME"):
        assert variables[name] == given[name]
    assert variables["TARGET_DISK_DEVICE"] == variables["BLOCKDEV"] == "/srv/disk0"
    assert variables["IMAGE_TYPE"] == "qcow2"
    assert "s3cr3t" not in bench.stream.getvalue()
    assert set(variables) - set(given) == {"TARGET_DISK_DEVICE", "BLOCKDEV", "IMAGE_TYPE", "PWD"}


def test_where_a_hook_runs(bench: Bench) -> None:
    kept = os.open(bench.folder, os.O_RDONLY)
    os.set_inheritable(kept, True)
    umask = os.umask(0o077)
    try:
        said = bench.run(bench.shell("where", "pwd", "umask", "cat", "ls /proc/self/fd"))
    finally:
        os.umask(umask)
        os.close(kept)
    assert said == ["hook where: /", "hook where: 0022", *(f"hook where: {number}" for number in (0, 1, 2, 3))]


def test_signals_end_a_hook_though_our_own_are_ignored(bench: Bench) -> None:
    path = bench.shell("wait", "kill -TERM $$", "sleep 5")
    assert "killed by SIGTERM" in bench.failure(path).cause


# --- output -----------------------------------------------------------------------------------------------------------


def test_every_line_is_logged_with_its_hook(bench: Bench) -> None:
    said = bench.run(bench.shell("talk", "echo one", "echo two >&2", "printf 'three'"))
    assert said == ["hook talk: one", "hook talk: two", "hook talk: three"]


def test_lines_are_logged_as_they_come(bench: Bench) -> None:
    path = bench.shell("slow", "echo first", f"while ! [ -e {bench.folder}/go ]; do sleep 0.05; done")

    class Watching(io.StringIO):
        def write(self, text: str) -> int:
            if "first" in text:
                (bench.folder / "go").write_text("")
            return super().write(text)

    bench.stream = Watching()
    bench.log = Log(stream=bench.stream)
    assert bench.run(path)[0].endswith("hook slow: first")


def test_who_has_to_end_a_hook_is_told_its_group_before_it_begins(bench: Bench) -> None:
    path = bench.shell("group", "echo $$", f"cat {bench.folder}/told", "ps -o pgid= $$")

    def started(group: int) -> None:
        bench.add("told", f"{group}\n", 0o644)

    hooks.run(path, bench.variables, 10, bench.log, started)
    assert len({line.rpartition(" ")[2] for line in bench.said()}) == 1


def test_output_cannot_forge_the_log(bench: Bench) -> None:
    bench.run(bench.shell("evil", r"printf 'a\r12:00:00 all is well\033[2J\302\205forged\013forged\377\n'"))
    text = bench.stream.getvalue()
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


@pytest.mark.parametrize("line", ["yes", "yes '' | tr -d '\\n' | tr '\\0' x", "cat /dev/zero"])
def test_a_flood_is_bounded_and_ends_in_time(bench: Bench, line: str) -> None:
    since = time.monotonic()
    error = bench.failure(bench.shell("flood", line), seconds=1)
    assert "was still at work after 1 s" in error.cause
    assert time.monotonic() - since < 4
    assert len(bench.stream.getvalue()) < 1_100 * 600


def test_the_last_lines_are_shown_also_after_a_flood(bench: Bench) -> None:
    error = bench.failure(bench.shell("loud", "seq 5000", "echo no route to host", "exit 3"))
    assert "failed: exit code 3 (no route to host)" in error.cause
    assert "hook loud: what else it says is not shown" in bench.said()
    assert bench.said()[-1] == "hook loud: no route to host"
    assert "hook loud: 4999" in bench.said()
    assert "hook loud: 2000" not in bench.said()


# --- failure and time -------------------------------------------------------------------------------------------------


def test_a_hook_that_fails(bench: Bench) -> None:
    error = bench.failure(bench.shell("register", "echo asking", "echo the address is taken >&2", "exit 2"))
    assert "exit code 2 (the address is taken)" in error.cause
    assert bench.said()[-1] == "hook register: the address is taken"


def test_a_hook_that_says_nothing_and_fails(bench: Bench) -> None:
    assert bench.failure(bench.shell("mute", "exit 1")).cause.endswith("failed: exit code 1")


def test_a_hook_without_a_first_line(bench: Bench) -> None:
    assert "could not be started (Exec format error)" in bench.failure(bench.add("raw", "echo hello\n")).cause


def test_a_hook_whose_interpreter_is_missing(bench: Bench) -> None:
    assert "could not be started" in bench.failure(bench.add("raw", "#!/no/such/shell\n")).cause


def test_a_hook_that_takes_too_long_is_ended_with_its_children(bench: Bench) -> None:
    path = bench.shell("long", "sleep 600 &", "echo $!", "wait")
    since = time.monotonic()
    error = bench.failure(path, seconds=0.5)
    assert "was still at work after 0.5 s" in error.cause
    assert "node_hooks_timeout" in error.remedy
    assert time.monotonic() - since < 3
    assert is_gone(int(bench.said()[0].rpartition(" ")[2]))


def test_a_hook_that_closes_its_output_is_waited_for(bench: Bench) -> None:
    path = bench.shell("quiet", "exec >/dev/null 2>&1", "sleep 0.3", f"touch {bench.folder}/done")
    bench.run(path)
    assert (bench.folder / "done").exists()


def test_what_a_hook_leaves_behind_is_ended_with_it(bench: Bench) -> None:
    since = time.monotonic()
    said = bench.run(bench.shell("daemon", "sleep 600 &", "echo $!"))
    assert time.monotonic() - since < 3
    assert is_gone(int(said[0].rpartition(" ")[2]))


@pytest.mark.timed
def test_what_floods_in_the_background_holds_nothing_up(bench: Bench) -> None:
    since = time.monotonic()
    bench.run(bench.shell("daemon", "setsid yes &", "sleep 0.1; echo $!; exit 0"))
    assert time.monotonic() - since < 3


def test_an_exception_ends_the_hook(bench: Bench) -> None:
    """As a signal's, which the scripts turn into one"""
    path = bench.shell("long", "sleep 600 &", "echo $!", "wait")

    def interrupt(number: int, frame: object) -> None:
        raise InterruptedError

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with pytest.raises(InterruptedError):
        hooks.run(path, bench.variables, 10, bench.log)
    assert is_gone(int(bench.said()[0].rpartition(" ")[2]))


# --- examples of what people have hooks for ---------------------------------------------------------------------------


def test_a_hook_that_reads_the_partition_table(bench: Bench, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(8 << 20))
    subprocess.run(["sfdisk", "-q", disk], input=b"label: dos\n,4M,L,*\n,,S\n", check=True)
    bench.variables = hooks.environment({"PATH": calling.PATH}, disk=str(disk), image_type="raw")
    said = bench.run(bench.shell("partitions", 'sfdisk --dump "$TARGET_DISK_DEVICE" | grep -c "type="'))
    assert said == ["hook partitions: 2"]


def test_a_hook_in_python_that_registers_the_instance(bench: Bench, tmp_path: Path) -> None:
    register = tmp_path / "register"
    path = bench.add(
        "50-register",
        f"#!{sys.executable} -I\n"
        "import os\n"
        f"with open({str(register)!r}, 'a') as file:\n"
        "    print(os.environ['INSTANCE_NAME'], os.environ['NIC_0_MAC'], file=file)\n",
    )
    bench.variables = hooks.environment(calling.INSTANCE_FACTS, disk="/srv/disk", image_type="raw")
    bench.run(path)
    assert register.read_text() == f"{calling.INSTANCE} {calling.INSTANCE_FACTS['NIC_0_MAC']}\n"


def test_without_hooks_there_is_little_to_say(bench: Bench) -> None:
    hooks.warn(Hooks("/etc/hooks", (), ()), "/dev/x", bench.log)
    assert "as root: none" in bench.said()[0]
