"""Starting QEMU in its jail: every descriptor opened here, the launcher spawned, our ends handed back"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from typing import NamedTuple

from helper_agent import protocol
from helper_host.errors import ProviderError
from helper_host.vm import cgroup, qemu, tsc
from helper_host.vm.drive import Attachable, Kind
from helper_host.vm.qmp import HANDSHAKE

MIB = 1024 * 1024
JAIL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "jail.py")

UID_BASE = 2_000_000_000
"""Plus our process id: a user that no passwd file has, and no other helper."""
SYSTEM = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/share/qemu", "/usr/share/seabios")
"""What of the node QEMU sees besides its own program: libraries, loader and firmware; those that exist."""
LINKS = {"/lib": "usr/lib", "/lib64": "usr/lib64"}

MEMORY_BASE = 640 * MIB
"""Room for QEMU's program, libraries, stacks and heaps on top of the guest's memory and TCG's buffer."""
ADDRESS_SPACE_BASE = 12 * 1024 * MIB
"""The same for addresses: 64 I/O workers may each reserve a stack of 8 MiB and a malloc arena of up to 128 MiB, and a
busy disk some 256 coroutine stacks of 1 MiB. QEMU aborts in the middle of a run when one of them doesn't fit."""
PROCESSES = 16 + qemu.WORKERS
"""Threads: QEMU's own few, and its workers for disk I/O."""
STACK = 2 * MIB
"""A thread's; the usual 8 MiB count against the address space, used or not."""
DESCRIPTORS = 256


class MachineSpec(NamedTuple):
    """What to run"""

    kernel: str
    initrd: str
    root: str
    """The erofs image."""
    job: int
    """A read-only descriptor of the config drive."""
    disks: tuple[Attachable, ...]
    """The instance's disks, in Ganeti's order."""
    nonce: str
    accel: str
    """kvm or tcg."""
    hello_seconds: float
    """How long the guest may take to its hello."""
    silence_seconds: float
    """How long the guest may say nothing after `GO`."""
    total_seconds: float
    """How long the guest may take from `GO` to its end."""
    memory: int = 256
    """MiB."""
    verbose: bool = False
    machine: str = qemu.MICROVM
    program: str = qemu.PROGRAM
    system: tuple[str, ...] = SYSTEM
    confine: bool = True
    """False only in tests without root."""
    shell: str = ""
    """Where a person may enter the helper's console (a Unix socket); no clock but the hello's runs then."""


class Process(NamedTuple):
    """The running launcher, soon QEMU, and our ends; whoever has it closes them"""

    popen: subprocess.Popen[bytes]
    pidfd: int
    port: socket.socket
    monitor: socket.socket
    console: int
    status: int
    """At its end without a byte: QEMU runs. Else a line of JSON from the launcher."""
    stderr: int
    cgroup: cgroup.Cgroup | None


def launch(spec: MachineSpec) -> Process:
    """Start QEMU for `spec`; returns before it runs

    Raises:
        ProviderError: E-VM-START when something on the node's side can't be opened or started
    """
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        try:
            process = _launch(spec, ours, theirs)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise ProviderError(
                "E-VM-START", f"The helper VM could not be started: {error.strerror}{where}", "see what that file lacks"
            ) from None
        ours.pop_all()
        return process


def _launch(spec: MachineSpec, ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> Process:
    port, port_end = _socketpair(ours, theirs)
    monitor, monitor_end = _socketpair(ours, theirs)
    # the greeting needn't be waited for, and so no event is missed
    monitor.send(HANDSHAKE)
    console, console_end = _console(spec, ours, theirs)
    status, status_end = _pipe(ours, theirs)
    stderr, stderr_end = _pipe(ours, theirs)
    drives, drive_fds, file_size = _drives(spec, theirs)
    vm = _vm(spec, drives)
    memory = (spec.memory + qemu.TB_SIZE) * MIB
    group = cgroup.create(f"helper-{os.getpid()}", memory + MEMORY_BASE, PROCESSES) if spec.confine else None
    if group is not None:
        ours.callback(group.remove)
    descriptors = [port_end.fileno(), monitor_end.fileno(), console_end, *drive_fds]
    order = {
        "argv": qemu.argv(vm, spec.program),
        "descriptors": descriptors,
        "limits": limits(memory + ADDRESS_SPACE_BASE, file_size, confine=spec.confine),
        "parent": os.getpid(),
        "confine": spec.confine,
        "uid": UID_BASE + os.getpid(),
        "binds": [*((path, path) for path in (spec.program, *filter(os.path.exists, spec.system))), *_boot_files(spec)],
        "links": LINKS,
        "kvm": spec.accel == "kvm",
        "cgroup": group.path if group else "",
    }
    paper = os.memfd_create("helper-jail", os.MFD_CLOEXEC)
    theirs.callback(os.close, paper)
    os.write(paper, json.dumps(order).encode())
    os.lseek(paper, 0, os.SEEK_SET)
    popen = subprocess.Popen(
        [sys.executable, "-I", "-S", JAIL, str(paper), str(status_end)],
        stdin=subprocess.DEVNULL,
        stdout=stderr_end,
        stderr=stderr_end,
        cwd="/",
        env={},
        start_new_session=True,
        pass_fds=(paper, status_end, *descriptors),
    )
    ours.callback(_end, popen)
    pidfd = os.pidfd_open(popen.pid)
    ours.callback(os.close, pidfd)
    return Process(popen, pidfd, port, monitor, console, status, stderr, group)


def _vm(spec: MachineSpec, drives: tuple[qemu.Drive, ...]) -> qemu.Vm:
    rate = tsc.khz() if spec.accel == "tcg" else 0
    # q35 has a clock to calibrate against, and costs half a second
    machine = spec.machine if rate or spec.accel == "kvm" else qemu.Q35
    return qemu.Vm(drives, spec.accel, spec.memory, machine, rate, spec.verbose, bool(spec.shell))


def _end(popen: subprocess.Popen[bytes]) -> None:
    popen.kill()
    popen.wait()


def limits(memory: int, file_size: int, *, confine: bool) -> dict[str, int]:
    """The jail's RLIMIT_ values; `memory` and `file_size` in bytes"""
    values = {"CORE": 0, "MEMLOCK": 0, "NOFILE": DESCRIPTORS, "FSIZE": file_size, "STACK": STACK, "AS": memory}
    # counted per user: without a user of its own it would count everything else that user runs
    return {**values, "NPROC": PROCESSES} if confine else values


def _boot_files(spec: MachineSpec) -> list[tuple[str, str]]:
    if not spec.confine:
        return []
    for path in (spec.kernel, spec.initrd):
        if not os.stat(path).st_mode & stat.S_IROTH:
            raise PermissionError(13, "Not readable for everybody, as QEMU's own user needs it", path)
    return [(spec.kernel, qemu.KERNEL), (spec.initrd, qemu.INITRD)]


def _drives(spec: MachineSpec, theirs: contextlib.ExitStack) -> tuple[tuple[qemu.Drive, ...], list[int], int]:
    """The drives, their descriptors, and the size of the largest regular file that may be written"""
    root = os.open(spec.root, os.O_RDONLY | os.O_CLOEXEC)
    theirs.callback(os.close, root)
    drives = [_read_only(protocol.ROOT_SERIAL), _read_only(protocol.JOB_SERIAL)]
    descriptors, file_size = [root, spec.job], 0
    for index, disk in enumerate(spec.disks):
        attached = disk.attach()
        theirs.callback(os.close, attached.descriptor)
        drives.append(qemu.Drive(protocol.disk_serial(index), attached.read_only, attached.kind))
        descriptors.append(attached.descriptor)
        file_size = max(file_size, attached.file_size)
    return tuple(drives), descriptors, file_size


def _read_only(serial: str) -> qemu.Drive:
    return qemu.Drive(serial, read_only=True, kind=Kind.FILE)


def _socketpair(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    here, there = socket.socketpair()
    ours.enter_context(here)
    theirs.enter_context(there)
    here.setblocking(False)
    return here, there


def _console(spec: MachineSpec, ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[int, int]:
    if not spec.shell:
        return _pipe(ours, theirs)
    here, there = _socketpair(ours, theirs)
    return os.dup(here.fileno()), there.fileno()


def _pipe(ours: contextlib.ExitStack, theirs: contextlib.ExitStack) -> tuple[int, int]:
    here, there = os.pipe2(os.O_CLOEXEC)
    ours.callback(os.close, here)
    theirs.callback(os.close, there)
    os.set_blocking(here, False)
    return here, there
