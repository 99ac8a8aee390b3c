"""Programs that hostile bytes may come to own, in a jail of their own

Such a child has a user id that nobody else has, an empty read-only root with nothing but its program, the system's
libraries and what it is given, no network, no capabilities, few system calls, and it dies with us. It can compute,
write to the pipes that it was given, and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from helper_host import seccomp
from helper_host.errors import ProviderError

JAIL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "jail.py")
SYSTEM = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64")
"""Libraries and loader; those that exist."""
LINKS = {"/lib": "usr/lib", "/lib64": "usr/lib64"}
DESCRIPTORS = 64
STACK = 8 << 20


def start(
    argv: Sequence[str],
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    pass_fds: Sequence[int] = (),
    binds: Sequence[tuple[str, str]] = (),
    files: Sequence[tuple[bytes, str]] = (),
    cpu_seconds: int,
    memory: int,
    confine: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a program in the jail; returns when it runs

    Whoever starts it must see to its end (`kill` and `wait`). It is killed when the thread that called this ends, as
    much as when the process does (PR_SET_PDEATHSIG).

    Args:
        argv: the first is the program's absolute path, which is shown in the jail
        stdin, stdout, stderr: as for Popen. Pipes or sockets to write to: it can't make any file longer
        pass_fds: these are its descriptors 3, 4, 5, ... in this order
        binds: (path outside, absolute path inside), files or folders that it may read
        files: (content, absolute path inside), files that it may read and that nobody else sees; none without `confine`
        cpu_seconds: it is killed after so much of the processor's time
        memory: bytes of its address space
        confine: False only in tests without root: limits and system calls, but our own user, root and network

    Raises:
        ProviderError: E-NODE
    """
    copies = [_in_memory(content) for content, _ in files]
    order = {
        "argv": list(argv),
        "descriptors": list(pass_fds),
        "limits": limits(cpu_seconds, memory, confine=confine),
        "parent": os.getpid(),
        "confine": confine,
        "uid": 0,
        "binds": [*((path, path) for path in (argv[0], *filter(os.path.exists, SYSTEM))), *binds],
        "files": [(copy, path) for copy, (_, path) in zip(copies, files, strict=True)],
        "links": LINKS,
        "kvm": False,
        "cgroup": "",
        "syscalls": seccomp.program(seccomp.PROGRAM.values()).hex(),
    }
    try:
        popen, status = spawn(JAIL, order, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=(*pass_fds, *copies))
    finally:
        for copy in copies:
            os.close(copy)
    try:
        said = told(status)
    except BaseException:
        end(popen)
        raise
    if said is not None:
        end(popen)
        raise failed(os.path.basename(argv[0]), said)
    return popen


def _in_memory(content: bytes) -> int:
    copy = os.memfd_create("helper-file", os.MFD_CLOEXEC)
    with open(copy, "wb", closefd=False) as file:
        file.write(content)
    return copy


def limits(cpu_seconds: int, memory: int, *, confine: bool = True) -> dict[str, int]:
    """RLIMIT_ values of a child that computes, and neither makes files nor processes"""
    values = {"CORE": 0, "MEMLOCK": 0, "FSIZE": 0, "NOFILE": DESCRIPTORS, "STACK": STACK}
    values |= {"CPU": cpu_seconds, "AS": memory}
    # counted per user: without a user of its own it would count everything else that user runs
    return {**values, "NPROC": 1} if confine else values


def spawn(
    program: str, order: dict[str, object], *, stdin: int, stdout: int, stderr: int, pass_fds: Sequence[int] = ()
) -> tuple[subprocess.Popen[bytes], int]:
    """`program`, a Python file of ours that gets the jail's order as the launcher does; and our end of its status pipe

    Raises:
        ProviderError: E-NODE
    """
    try:
        with contextlib.ExitStack() as theirs:
            status, status_end = os.pipe2(os.O_CLOEXEC)
            theirs.callback(os.close, status_end)
            paper = os.memfd_create("helper-jail", os.MFD_CLOEXEC)
            theirs.callback(os.close, paper)
            os.write(paper, json.dumps(order).encode())
            os.lseek(paper, 0, os.SEEK_SET)
            try:
                popen = subprocess.Popen(
                    [sys.executable, "-I", "-S", program, str(paper), str(status_end)],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    cwd="/",
                    env={},
                    start_new_session=True,
                    pass_fds=(paper, status_end, *pass_fds),
                )
            except BaseException:
                os.close(status)
                raise
            return popen, status
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ProviderError(
            "E-NODE", f"A confined program could not be started: {error.strerror}{where}", "see what the node lacks"
        ) from None


def told(status: int) -> str | None:
    """Wait until the jail is shut; None, or what failed. Closes the pipe"""
    with open(status, "rb") as file:
        line = file.readline(4096)
    if not line:
        return None
    try:
        report = json.loads(line)
        return f"{report['step']}: {report['reason']}"
    except (ValueError, KeyError, TypeError):
        return "no reason given"


def end(popen: subprocess.Popen[bytes]) -> int:
    """Kill it if it runs, and reap it; its exit code as Popen has it. Harmless when repeated"""
    popen.kill()
    for pipe in (popen.stdin, popen.stdout, popen.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return popen.wait()


def failed(name: str, why: str) -> ProviderError:
    """E-NODE for a jail that could not be made, or whose program could not be run"""
    return ProviderError("E-NODE", f"{name} could not be started in its jail: {why}", "see what the node lacks")


def how_it_ended(code: int) -> str:
    """An exit code as Popen has it, in words"""
    if code >= 0:
        return f"it ended with exit code {code}"
    if -code == signal.SIGXCPU:
        return "it took too much of the processor's time"
    return f"it was ended by {signal.Signals(-code).name}"
