"""Starts a program in a sandbox, hands it its input, takes its output, and sees to it that it ends

The program is process 1 of a PID namespace: when it ends or is killed, the kernel kills all that it has started.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from helper_agent import sandbox, syscalls
from helper_agent.api import TaskError
from helper_agent.records import NamedTuple

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # what `signal` adds, enums made of every constant, costs an emulated guest 10 ms

CHUNK = 64 * 1024
INTERRUPTING = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)
HIGH = 64
"""Descriptors from here on are kept out of the way of those that the program gets."""
DESCRIPTORS_MAX = 1 << 20
DENIED = "programs are run in namespaces, which takes root with all capabilities; a container needs CAP_SYS_ADMIN"


class Program(NamedTuple):
    """What to run"""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    apart: sandbox.Sandbox
    input: bytes = b""
    """Content of its stdin."""
    timeout: float = 120.0
    """Seconds after which it is killed, and with it all that it has started."""


class OutOfTime(Exception):
    """The program was killed because its time was over"""


class NotStarted(Exception):
    """The program could not be executed; the text says why"""


def run(program: Program, take: Callable[[int, bytes], None]) -> int:
    """Run `program` to its end; its exit code, or the negative number of the signal that killed it

    Args:
        take: called with 1 or 2 (stdout, stderr) and what the program wrote

    Raises:
        NotStarted, OutOfTime
        TaskError: E-AGENT, the sandbox could not be made
    """
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    trouble, trouble_end = os.pipe()
    feed = os.memfd_create("input", os.MFD_CLOEXEC)
    child = 0
    # Who is interrupted between the fork and its return would never learn of the child
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTING)
    try:
        _fill(feed, program.input)
        child = _fork()
        if child == 0:
            _become(program, (feed, out_end, err_end), trouble_end)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for fd in (out_end, err_end, trouble_end, feed):
            os.close(fd)
        out_end = err_end = trouble_end = feed = -1
        _check_started(program, trouble)
        _follow(child, {out: 1, err: 2}, program.timeout, take)
        status = os.waitpid(child, 0)[1]
        child = 0
        return os.waitstatus_to_exitcode(status)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if child:
            _end(child)
        for fd in (out, out_end, err, err_end, trouble, trouble_end, feed):
            if fd >= 0:
                os.close(fd)


def _fill(fd: int, content: bytes) -> None:
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)


def _fork() -> int:
    """fork(2) into a new PID namespace; this process' later children are in the old one again

    Raises:
        TaskError: E-AGENT
    """
    here = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    child = -1
    try:
        syscalls.unshare(syscalls.CLONE_NEWPID)
        try:
            child = os.fork()
        finally:
            if child != 0:
                syscalls.setns(here, syscalls.CLONE_NEWPID)
    except OSError as error:
        raise _denied(error.strerror or str(error)) from None
    finally:
        os.close(here)
    return child


def _denied(reason: str) -> TaskError:
    return TaskError(f"A program can't be set apart from the system: {reason}", DENIED, code="E-AGENT")


def _become(program: Program, streams: Sequence[int], trouble: int) -> NoReturn:
    """In the child: becomes the program, or says through `trouble` why not"""
    stage = "sandbox"
    try:
        import fcntl

        os.setsid()
        # Process 1 of a VM may have none of 0, 1 and 2 open, so that any of these may be the port
        trouble, *high = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH) for fd in (trouble, *streams))
        os.closerange(3, HIGH)
        for number, fd in enumerate(high):
            os.dup2(fd, number)
        os.closerange(max(trouble, *high) + 1, DESCRIPTORS_MAX)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python
            signal.signal(ignored, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.umask(0o022)
        sandbox.enter(program.apart)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        stage = "exec"
        _execute(program)
    except OSError as error:
        os.write(trouble, f"{stage} {error.errno or 0} {error.filename or ''}".encode("utf-8", "replace")[:1000])
    except BaseException as error:
        os.write(trouble, f"{stage} 0 {error!r}".encode("utf-8", "replace")[:1000])
    finally:
        os._exit(127)


def _execute(program: Program) -> NoReturn:
    """exec(2), the program looked for in its own PATH; not os.execvpe, which imports a module

    Raises:
        OSError
    """
    name = program.argv[0]
    folders = [""] if "/" in name else program.environment.get("PATH", "").split(":")
    failed = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    for folder in folders:
        try:
            os.execve(f"{folder}/{name}" if folder else name, program.argv, program.environment)  # noqa: S606
        except (FileNotFoundError, NotADirectoryError):
            continue
    raise failed


def _check_started(program: Program, trouble: int) -> None:
    """Wait until the child is the program

    Raises:
        NotStarted
        TaskError: E-AGENT
    """
    said = b""
    while part := os.read(trouble, CHUNK):
        said += part
    if not said:
        return
    stage, number, what = said.decode("utf-8", "replace").split(" ", 2)
    reason = os.strerror(int(number)) if number != "0" else what
    if stage == "exec" and number != "0":
        raise NotStarted(_why(program, int(number), reason))
    raise _denied(f"{reason} ({what})" if what and what != reason else reason)


def _why(program: Program, number: int, reason: str) -> str:
    """Why exec(2) failed: ENOENT is also what a script gets whose interpreter isn't there"""
    first = program.apart.program.partition(b"\n")[0]
    if number == errno.ENOENT and first.startswith(b"#!"):
        words = first[2:].decode("utf-8", "replace").split(" ")
        return f"its interpreter {next((word for word in words if word), '')!r} is not there"
    return reason


def _follow(child: int, streams: Mapping[int, int], timeout: float, take: Callable[[int, bytes], None]) -> None:
    """Read what the child writes until it is gone

    Raises:
        OutOfTime
    """
    import select

    ended = os.pidfd_open(child)
    try:
        poll = select.poll()
        for fd in (ended, *streams):
            poll.register(fd, select.POLLIN)
        end = time.monotonic() + timeout
        gone = False
        while not gone:
            left = end - time.monotonic()
            if left <= 0:
                raise OutOfTime
            for fd, _ in poll.poll(left * 1000 + 1):
                if fd == ended:
                    gone = True
                elif part := os.read(fd, CHUNK):
                    take(streams[fd], part)
                else:
                    poll.unregister(fd)
        _drain(streams, take)
    finally:
        os.close(ended)


def _drain(streams: Mapping[int, int], take: Callable[[int, bytes], None]) -> None:
    """What is left in the pipes: nobody writes to them any more"""
    for fd, number in streams.items():
        while part := os.read(fd, CHUNK):
            take(number, part)


def _end(child: int) -> None:
    """Kill the child, if it still runs, and with it its namespace; wait until all of it is gone"""
    try:
        os.kill(child, 9)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
