"""What a confined child is, sees and may do: looked at from outside in /proc, and tried from inside"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helper_host import confine, seccomp
from helper_host.errors import ProviderError
from helper_host.jail import UID_BASE

MIB = 1 << 20
PYTHON = "/usr/bin/python3"
LIBRARY = os.path.dirname(os.__file__)
NAMESPACES = ("mnt", "net", "ipc", "uts")
ROOT = pytest.param(True, marks=pytest.mark.root, id="jail")
PLAIN = pytest.param(False, marks=pytest.mark.programs, id="no root")


def started(
    script: str,
    *,
    confined: bool = True,
    binds: Sequence[tuple[str, str]] = (),
    files: Sequence[tuple[bytes, str]] = (),
    fds: Sequence[int] = (),
    **limits: int,
) -> subprocess.Popen[bytes]:
    return confine.start(
        [PYTHON, "-ISc", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=fds,
        binds=[(LIBRARY, LIBRARY), *binds],
        files=files,
        **{"cpu_seconds": 10, "memory": 512 * MIB, **limits},
        confine=confined,
    )


def said(script: str, **how: Any) -> tuple[int, str]:
    """Exit code and output of a confined script"""
    process = started(script, **how)
    try:
        output, errors = process.communicate(timeout=20)
    finally:
        confine.end(process)
    return process.returncode, output.decode() + errors.decode()


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


@pytest.mark.root
def test_from_outside() -> None:
    held, other = os.pipe()
    process = started("import os; print('x', flush=True); os.read(0, 1)", fds=[held])
    try:
        assert process.stdout is not None and process.stdout.readline() == b"x\n"
        facts = status(process.pid)
        assert facts["Uid"].split() == facts["Gid"].split() == [str(UID_BASE + process.pid)] * 4
        assert facts["Groups"] == ""
        assert {facts[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2"
        for name in NAMESPACES:
            assert os.readlink(f"/proc/{process.pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
        links = {path.name: os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
        assert set(links) == {"0", "1", "2", "3"} and links["3"] == os.readlink(f"/proc/self/fd/{held}")
        assert Path(f"/proc/{process.pid}/environ").read_bytes() == b"PATH=/usr/bin\0LC_ALL=C\0MALLOC_ARENA_MAX=2\0"
        root = Path(f"/proc/{process.pid}/root")
        assert {path.name for path in root.iterdir()} == {"dev", "lib", "lib64", "usr"}
        assert {path.name for path in (root / "usr").iterdir()} <= {"bin", "lib", "lib64"}
        assert [path.name for path in (root / "usr/bin").iterdir()] == ["python3"]
        for mount in [line.split() for line in Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines()]:
            assert {"ro", "nosuid"} <= set(mount[5].split(",")) and mount[6] == "-"
        devices = Path(f"/proc/{process.pid}/net/dev").read_text().splitlines()[2:]
        assert [line.split(":")[0].strip() for line in devices] == ["lo"]
    finally:
        confine.end(process)
        os.close(held)
        os.close(other)


TRIES = """
import ctypes, json, os, signal, socket
def tried(name, action):
    try:
        action()
        report[name] = "done"
    except OSError as error:
        report[name] = error.errno
report = {}
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
tried("fork", os.fork)
tried("socket", socket.socket)
tried("socketpair", socket.socketpair)
tried("kill", lambda: os.kill(os.getppid(), 0))
tried("mount", lambda: call(165, b"none", b"/dev", b"tmpfs", 0, 0))
tried("unshare", lambda: call(272, 0x10000000))
tried("ptrace", lambda: call(101, 0, 0, 0, 0))
tried("io_uring_setup", lambda: call(425, 1, 0))
tried("bpf", lambda: call(321, 0, 0, 0))
tried("memfd", lambda: os.memfd_create("x"))
tried("write", lambda: os.open("/dev/new", os.O_CREAT | os.O_WRONLY))
tried("passwd", lambda: os.open("/etc/passwd", os.O_RDONLY))
tried("proc", lambda: os.open("/proc/self/fd", os.O_RDONLY))
print(json.dumps(report))
"""


@pytest.mark.root
def test_from_inside() -> None:
    code, output = said(TRIES)
    report = json.loads(output)
    assert code == 0 and report.pop("write") == 30 and report.pop("passwd") == report.pop("proc") == 2
    assert set(report.values()) == {1} and len(report) == 10


@pytest.mark.parametrize("confined", [ROOT, PLAIN])
def test_its_limits(confined: bool) -> None:
    names = ("CORE", "FSIZE", "CPU", "AS", "NOFILE", "MEMLOCK")
    asked = ", ".join(f"resource.getrlimit(resource.RLIMIT_{name})[0]" for name in names)
    code, output = said(f"import resource; print({asked})", confined=confined, cpu_seconds=7, memory=300 * MIB)
    assert (code, output.split()) == (0, ["0", "0", "7", str(300 * MIB), "64", "0"])


@pytest.mark.parametrize("confined", [ROOT, PLAIN])
def test_a_call_by_the_abi_of_32_bits_ends_it(confined: bool) -> None:
    # mov eax, 20; int 0x80; ret: getpid(2) by the old door
    script = (
        "import ctypes, mmap\n"
        "page = mmap.mmap(-1, 4096, prot=7)\n"
        r"page.write(b'\xb8\x14\0\0\0\xcd\x80\xc3')"
        "\nctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\n"
    )
    assert said(script, confined=confined)[0] == -signal.SIGSYS


@pytest.mark.timed
@pytest.mark.root
def test_too_much_of_the_processor() -> None:
    before = time.monotonic()
    code, _ = said("while True: pass", cpu_seconds=1)
    assert code == -signal.SIGXCPU and time.monotonic() - before < 8
    assert confine.how_it_ended(code) == "it took too much of the processor's time"


@pytest.mark.root
def test_too_much_memory() -> None:
    code, output = said("bytearray(600 << 20)")
    assert code == 1 and "MemoryError" in output


@pytest.mark.root
def test_what_it_is_given(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "key").write_bytes(b"some key")
    for part in (tmp_path, *tmp_path.parents):
        if part != Path("/tmp") and part != Path("/"):
            part.chmod(0o755)
    reader, writer = os.pipe()
    os.write(writer, b"by descriptor")
    script = "import os; print(open('/keys/a').read(), os.read(3, 99).decode())"
    code, output = said(script, binds=[(str(tmp_path / "key"), "/keys/a")], fds=[reader])
    os.close(reader)
    os.close(writer)
    assert (code, output) == (0, "some key by descriptor\n")


@pytest.mark.root
def test_files_that_are_nowhere_else() -> None:
    """Whatever their sizes, and as little to be written to as all the rest"""
    before = set(os.listdir("/proc/self/fd"))
    files = [(b"", "/in/empty"), (b"x" * 3 * MIB, "/in/large"), (b"small", "/in/deep/small")]
    script = """
import os
print([len(open(f"/in/{name}").read()) for name in ("empty", "large", "deep/small")])
try:
    open("/in/large", "ab")
except OSError as error:
    print(error.strerror)
for number in range(3, 64):
    try:
        os.fstat(number)
    except OSError:
        continue
    print("left open:", number)
"""
    code, output = said(script, files=files)
    assert (code, output) == (0, f"[0, {3 * MIB}, 5]\nRead-only file system\n")
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.root
@pytest.mark.parametrize("argv", [["/usr/bin/nothing-there"], ["/usr/share/doc"]])
def test_a_program_that_can_not_be_run(argv: list[str]) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(ProviderError, match=r"E-NODE: .* could not be started in its jail: "):
        confine.start(argv, stdin=-3, stdout=-3, stderr=-3, cpu_seconds=1, memory=MIB * 100)
    assert set(os.listdir("/proc/self/fd")) == before


PARENT = """
import subprocess, sys, time
from helper_host import confine
process = confine.start(["/usr/bin/sleep", "60"], stdin=-3, stdout=-3, stderr=-3, cpu_seconds=9, memory=1 << 28)
print(process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.root
def test_it_dies_with_us() -> None:
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/usr/bin"}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while True:
        try:
            signal.pidfd_send_signal(child, 0)
        except ProcessLookupError:
            break
        assert time.monotonic() < deadline, "it outlived its parent"
        time.sleep(0.01)
    os.close(child)


@pytest.mark.root
def test_gpgv_runs_in_it() -> None:
    process = confine.start(
        ["/usr/bin/gpgv", "--version"], stdin=-3, stdout=-1, stderr=-1, cpu_seconds=5, memory=256 * MIB
    )
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 0 and b"gpgv (GnuPG)" in output and errors == b""


def test_the_filter_is_made_of_jumps_that_lead_somewhere() -> None:
    program = seccomp.program(seccomp.PROGRAM.values())
    lines = [program[start : start + 8] for start in range(0, len(program), 8)]
    assert len(lines) == len(set(seccomp.PROGRAM.values())) + 6
    for index, line in enumerate(lines[4:-2], 4):
        assert index + 1 + line[2] == len(lines) - 1, "each number on the list leads to the last line"
