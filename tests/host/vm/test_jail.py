"""The jail, seen from outside: what the running QEMU is, has and sees

QEMU itself runs here, under emulation, with a kernel of 1,536 bytes that halts at its first instruction: it shows all
there is to see of the jail, and a guest that hangs in silence too.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_agent.protocol import Hello
from helper_host.errors import ProviderError
from helper_host.vm import qemu
from helper_host.vm.drive import OpenFile
from helper_host.vm.launch import ADDRESS_SPACE_BASE, MIB, PROCESSES, UID_BASE
from helper_host.vm.machine import Ended, Machine, MachineSpec
from tests.host.vm import fake_qemu

pytestmark = pytest.mark.root

EVENTS = {f"anon_inode:[{kind}]" for kind in ("eventfd", "eventpoll", "signalfd")}
NAMESPACES = ("mnt", "net", "ipc", "uts")


def halting_kernel() -> bytes:
    """A bzImage (Documentation/arch/x86/boot.rst, protocol 2.00) whose real-mode code is: cli; hlt; jmp $-1"""
    image = bytearray(1536)
    image[0x1F1] = 1
    image[0x1FE:0x202] = b"\x55\xaa\xeb\x3e"
    image[0x202:0x208] = b"HdrS" + struct.pack("<H", 0x0200)
    image[0x240:0x244] = b"\xfa\xf4\xeb\xfd"
    return bytes(image)


@pytest.fixture
def jailed(spec: MachineSpec, tmp_path: Path) -> MachineSpec:
    """The real QEMU in the real jail"""
    if not os.path.exists(qemu.PROGRAM):
        pytest.skip("QEMU is not installed")
    (tmp_path / "kernel").write_bytes(halting_kernel())
    (tmp_path / "initrd").write_bytes(b"\0" * 512)
    return spec._replace(kernel=str(tmp_path / "kernel"), initrd=str(tmp_path / "initrd"), confine=True)


@pytest.fixture
def running(jailed: MachineSpec) -> Iterator[Machine]:
    """A machine that is through the jail and runs its guest"""
    with Machine(jailed) as machine:
        wait_for_guest(machine)
        yield machine


def descriptors(machine: Machine) -> list[str]:
    """What they lead to"""
    return [os.readlink(path) for path in sorted(Path(f"/proc/{machine.pid}/fd").iterdir())]


def wait_for_guest(machine: Machine) -> None:
    """Until QEMU's seccomp filter is on and nothing more is opened"""
    deadline, before = time.monotonic() + 15, [""]
    while status(machine.pid)["Seccomp"] != "2" or before != (before := descriptors(machine)):
        if time.monotonic() > deadline:
            machine.kill()
            for _ in machine.events():
                pass
            pytest.fail(f"QEMU did not get there: {machine.verdict()}")
        time.sleep(0.3)


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def test_who_it_is(running: Machine) -> None:
    facts = status(running.pid)
    uid = str(UID_BASE + os.getpid())
    assert facts["Uid"].split() == facts["Gid"].split() == [uid] * 4
    assert facts["Groups"] == ""
    assert {facts[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2"
    for name in NAMESPACES:
        assert os.readlink(f"/proc/{running.pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")


def test_what_it_has(running: Machine, tmp_path: Path) -> None:
    links = descriptors(running)
    kinds = sorted(link.split(":")[0] for link in links if not link.startswith("anon_inode:"))
    # the console, stdout and stderr; the port and the monitor. No pidfd, no file of ours.
    files = sorted(link for link in links if link.startswith("/"))
    assert set(files) == {"/dev/null", "/memfd:job (deleted)", str(tmp_path / "root"), str(tmp_path / "disk")}
    assert set(kinds) - set(files) - {"/memfd"} == {"pipe", "socket"}
    assert len({link for link in links if link.startswith("socket")}) == 2
    assert len({link for link in links if link.startswith("pipe")}) == 2
    assert {link for link in links if link.startswith("anon")} <= EVENTS


def test_its_environment_is_bare(running: Machine) -> None:
    environment = Path(f"/proc/{running.pid}/environ").read_bytes()
    assert environment == b"PATH=/usr/bin\0LC_ALL=C\0MALLOC_ARENA_MAX=2\0"
    command = Path(f"/proc/{running.pid}/cmdline").read_bytes()
    assert b"abcd" not in command and str(os.getcwd()).encode() not in command


def test_what_it_sees(running: Machine) -> None:
    root = Path(f"/proc/{running.pid}/root")
    assert {path.name for path in root.iterdir()} == {"dev", "initrd", "kernel", "lib", "lib64", "usr"}
    assert {path.name for path in (root / "dev").iterdir()} == {"null"}
    assert {path.name for path in (root / "usr/bin").iterdir()} == {"qemu-system-x86_64"}
    assert {path.name for path in (root / "usr").iterdir()} <= {"bin", "lib", "lib64", "share"}
    assert {path.name for path in (root / "usr/lib").iterdir()} == {"x86_64-linux-gnu"}
    assert {path.name for path in (root / "usr/share").iterdir()} <= {"qemu", "seabios"}
    devices = Path(f"/proc/{running.pid}/net/dev").read_text().splitlines()[2:]
    assert [line.split(":")[0].strip() for line in devices] == ["lo"]


def test_nothing_it_sees_can_be_written(running: Machine) -> None:
    mounts = [line.split() for line in Path(f"/proc/{running.pid}/mountinfo").read_text().splitlines()]
    assert [mount[4] for mount in mounts if mount[4] == "/"] == ["/"]
    for mount in mounts:
        options = set(mount[5].split(","))
        assert {"ro", "nosuid"} <= options, mount
        # the root itself holds /dev/null, and nothing that runs
        assert ("noexec" if mount[4] == "/" else "nodev") in options, mount
        # private: nothing that the node mounts later appears here
        assert mount[6] == "-", mount


def test_its_limits(running: Machine, jailed: MachineSpec) -> None:
    lines = Path(f"/proc/{running.pid}/limits").read_text().splitlines()[1:]
    limits = {line[:26].strip(): line[26:].split()[:2] for line in lines}
    expected = {
        "Max core file size": 0,
        "Max locked memory": 0,
        "Max processes": PROCESSES,
        "Max open files": 256,
        "Max file size": 1 << 20,
        "Max address space": (jailed.memory + qemu.TB_SIZE) * MIB + ADDRESS_SPACE_BASE,
    }
    assert {name: limits[name] for name in expected} == {name: [str(value)] * 2 for name, value in expected.items()}


@pytest.mark.timed
def test_the_guest_that_hangs_is_ended_by_its_clock(jailed: MachineSpec) -> None:
    begin = time.monotonic()
    with Machine(jailed._replace(hello_seconds=1.5)) as machine:
        assert [type(event) for event in machine.events()] == [Ended]
    verdict = machine.verdict()
    assert verdict.expired == "hello" and verdict.retryable() and time.monotonic() - begin < 5
    problem = verdict.problem()
    assert problem is not None and problem.code == "E-VM-SILENT"


@pytest.fixture
def loop_device(tmp_path: Path) -> Iterator[str]:
    """A real block device"""
    with open(tmp_path / "backing", "wb") as file:
        file.truncate(1 << 20)
    attach = subprocess.run(
        ["losetup", "--find", "--show", tmp_path / "backing"], capture_output=True, text=True, check=False
    )
    if attach.returncode != 0:
        pytest.skip(f"no loop device: {attach.stderr}")
    device = attach.stdout.strip()
    yield device
    subprocess.run(["losetup", "--detach", device], check=True)


def test_a_block_device_that_is_held_exclusively(jailed: MachineSpec, loop_device: str) -> None:
    held = os.open(loop_device, os.O_RDWR | os.O_EXCL)
    with Machine(jailed._replace(disks=(OpenFile(held),))) as machine:
        wait_for_guest(machine)
        links = descriptors(machine)
    os.close(held)
    assert loop_device in links


def test_kvm_is_reached_without_a_group(jailed: MachineSpec) -> None:
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR))
    except OSError:
        pytest.skip("/dev/kvm does not open")
    with Machine(jailed._replace(accel="kvm", hello_seconds=1.5)) as machine:
        wait_for_guest(machine)
        links = descriptors(machine)
        assert status(machine.pid)["Uid"].split()[0] == str(UID_BASE + os.getpid())
        for _ in machine.events():
            pass
    # this is how a host looks on which KVM opens and guests hang: the caller then tries emulation
    assert "/dev/kvm" in links and machine.verdict().expired == "hello" and machine.verdict().retryable()


def test_many_disks(jailed: MachineSpec, tmp_path: Path) -> None:
    disks = [os.open(tmp_path / f"disk-{number}", os.O_RDWR | os.O_CREAT) for number in range(16)]
    for disk in disks:
        os.ftruncate(disk, 1 << 20)
    with Machine(jailed._replace(disks=tuple(OpenFile(disk) for disk in disks))) as machine:
        wait_for_guest(machine)
        links = descriptors(machine)
    for disk in disks:
        os.close(disk)
    assert {f"{tmp_path}/disk-{number}" for number in range(16)} <= set(links)


PARENT = """
import json, sys
from helper_host.vm.machine import Machine, MachineSpec
import os, time
order = json.loads(sys.argv[1])
job = os.memfd_create("job"); os.ftruncate(job, 4096); job = os.open(f"/proc/self/fd/{job}", os.O_RDONLY)
with Machine(MachineSpec(**order, job=job, disks=())) as machine:
    print(machine.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("moment", [0.0, 0.02, 1.0])
def test_it_dies_with_its_parent(jailed: MachineSpec, moment: float) -> None:
    order = {name: value for name, value in jailed._asdict().items() if name not in ("job", "disks")}
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "/usr/bin"}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, json.dumps(order)], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        watched = os.pidfd_open(pid)
        time.sleep(moment)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{pid}") and state(pid) not in "ZX":
        assert time.monotonic() < deadline, "QEMU outlived its parent"
        time.sleep(0.01)
    os.close(watched)


def state(pid: int) -> str:
    try:
        return status(pid)["State"][0]
    except FileNotFoundError:
        return "X"


# --- when it can't be built ---


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"program": "/usr/share/doc"}, "exec of /usr/share/doc: Permission denied"),
        ({"program": "/nonexistent/qemu"}, "root: No such file or directory (/nonexistent/qemu)"),
    ],
)
def test_a_jail_that_can_not_be_built_says_why(jailed: MachineSpec, change: dict[str, str], words: str) -> None:
    with Machine(jailed._replace(**change)) as machine:  # type: ignore[arg-type]
        assert [type(event) for event in machine.events()] == [Ended]
    problem = machine.verdict().problem()
    assert problem is not None and problem.code == "E-VM-START" and words in str(problem)
    assert not machine.verdict().retryable()


def test_a_kernel_that_not_everybody_may_read_is_refused(jailed: MachineSpec) -> None:
    os.chmod(jailed.kernel, 0o600)
    with pytest.raises(ProviderError, match=r"E-VM-START.*readable"), Machine(jailed):
        pass


def test_a_broken_kernel(jailed: MachineSpec) -> None:
    Path(jailed.kernel).write_bytes(b"garbage" * 300)
    with Machine(jailed) as machine:
        for _ in machine.events():
            pass
    problem = machine.verdict().problem()
    assert problem is not None and problem.code == "E-VM-START" and "kernel" in problem.cause


def test_the_fake_works_in_the_jail_too(jailed: MachineSpec, tmp_path: Path) -> None:
    program = fake_qemu.program(tmp_path, fake_qemu.good())
    tmp_path.chmod(0o755)
    with Machine(jailed._replace(program=program, system=("/usr",))) as machine:
        for event in machine.events():
            if isinstance(event, Hello):
                machine.go()
    assert machine.verdict().success(), machine.verdict()
