"""Node hooks: programs of the administrator's that run on the node after an image has been installed

What instance-image and instance-simpleimage call hooks, under the rules of run-parts(8): executables whose names have
letters, digits, underscores and hyphens only, in the order of their names, the first failure ends it. They are run by
us and not by run-parts, which knows no time limit, doesn't look at who may write them, and comes with Debian only.

The setting is off by default, because a hook undoes what the helper VM is for: it is root on the node, and the disk it
is handed holds whatever the image's author put there.
"""

from __future__ import annotations

import os
import re
import select
import signal
import stat
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from helper_agent.run import how_ended
from helper_host import trusted
from helper_host.endings import ENDINGS
from helper_host.errors import ProviderError
from helper_host.log import Log, printable

NAME = re.compile(r"[A-Za-z0-9_-]+")
"""Of run-parts(8), without --lsbsysinit and --regex."""
LINES_MAX = 1000
"""Lines of a hook's output that reach the log."""
LINE_MAX = 500
TAIL = 6
"""Last lines that are shown in any case when it fails: Ganeti shows the last 20 of the log."""
READ_MAX = 1 << 16


class Hooks(NamedTuple):
    """What is in a folder of hooks"""

    folder: str
    programs: tuple[str, ...]
    """Paths, in order."""
    ignored: tuple[str, ...]
    """Names that run-parts(8) would pass over in silence, and why."""


def find(folder: str) -> Hooks:
    """The hooks in `folder`; nothing is run

    Raises:
        ProviderError: E-HOOK when somebody else than root could have put them there
    """
    programs, ignored = [], []
    try:
        trusted.check_way(folder)
        names = trusted.names(folder)
    except FileNotFoundError:
        raise _refused(folder, "does not exist", "make it, or clear node_hooks in the settings") from None
    except trusted.Untrusted as error:
        raise _refused(folder, error.why, error.remedy) from None
    for name in names:
        path = os.path.join(folder, name)
        if why := _unfit(name, path):
            ignored.append(f"{name} ({why})")
            continue
        try:
            trusted.check_way(path)
        except trusted.Untrusted as error:
            raise _refused(path, error.why, error.remedy) from None
        programs.append(path)
    return Hooks(folder, tuple(programs), tuple(ignored))


def environment(variables: Mapping[str, str], *, disk: str, image_type: str) -> dict[str, str]:
    """What hooks get: Ganeti's `variables`, and the names that the hooks of other OS providers know

    Args:
        variables: without secrets
        disk: path of disk 0
        image_type: raw, qcow2, or none
    """
    return {**variables, "TARGET_DISK_DEVICE": disk, "BLOCKDEV": disk, "IMAGE_TYPE": image_type}


def warn(hooks: Hooks, disk: str, log: Log) -> None:
    """Tell what is about to happen, and how bad it can be"""
    names = ", ".join(os.path.basename(path) for path in hooks.programs) or "none"
    log.warning(f"NODE HOOKS: {hooks.folder} is run on this node as root: {names}")
    log.warning(f"NODE HOOKS: they may change {disk} and anything else on this node; what they read from the disk may")
    log.warning("NODE HOOKS: be made by the image's author to attack the node (node_hooks in the settings)")
    if hooks.ignored:
        log.info(f"not run, by the rules of run-parts(8): {', '.join(hooks.ignored)}")


def run(
    path: str, variables: Mapping[str, str], seconds: float, log: Log, started: Callable[[int], None] = lambda _: None
) -> None:
    """Run one hook; its process group doesn't outlive the call

    Args:
        started: told the group's id, in the new process before it becomes the hook: whoever dies meanwhile has told it

    Raises:
        ProviderError: E-HOOK
    """
    output = _Output(f"hook {os.path.basename(path)}", log)
    # a signal's exception while the hook begins would leave it to itself
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        process = _start(path, variables, lambda: _begin(started, before))
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            in_time = _follow(process, output, time.monotonic() + seconds)
        finally:
            _end(process)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    output.end(failed=not in_time or process.returncode != 0)
    if not in_time:
        raise _failed(path, f"was still at work after {seconds:g} s", "see why, or raise node_hooks_timeout")
    if process.returncode != 0:
        said = f" ({output.last})" if output.last else ""
        raise _failed(path, f"failed: {how_ended(process.returncode)}{said}", "see its output above, and mend it")


def _start(path: str, variables: Mapping[str, str], begin: Callable[[], None]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            cwd="/",
            umask=0o022,
            start_new_session=True,
            preexec_fn=begin,  # noqa: PLW1509  no other thread is left that could hold a lock
        )
    except OSError as error:
        raise _failed(path, f"could not be started ({error.strerror})", "see its first line and its mode") from None


def _begin(started: Callable[[int], None], mask: set[signal.Signals | int]) -> None:
    """In the new process, when it has a group of its own"""
    started(os.getpid())
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _end(process: subprocess.Popen[bytes]) -> None:
    # what it has left behind in the background would go on working on a disk that an instance is started from
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _follow(process: subprocess.Popen[bytes], output: _Output, deadline: float) -> bool:
    """Log what it says until it ends; False: it hasn't ended in time"""
    assert process.stdout is not None
    stdout, ended = process.stdout.fileno(), os.pidfd_open(process.pid)
    os.set_blocking(stdout, False)
    poll = select.poll()
    poll.register(stdout, select.POLLIN)
    poll.register(ended, select.POLLIN)
    try:
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(left * 1000))
            if stdout in ready and not output.read(stdout):
                poll.unregister(stdout)  # closed, though it may go on
            if ended in ready:
                # the rest, but not what a program that it left behind says for ever
                output.read(stdout, LINES_MAX * LINE_MAX)
                return True
        return False
    finally:
        os.close(ended)


class _Output:
    """A hook's output on its way into the log, line by line, within bounds"""

    def __init__(self, prefix: str, log: Log) -> None:
        self._prefix = prefix
        self._log = log
        self._rest = b""
        self._lines = 0
        self._tail: deque[str] = deque(maxlen=TAIL)

    @property
    def last(self) -> str:
        """The last line that says something"""
        return next((line[:200] for line in reversed(self._tail) if line.strip()), "")

    def read(self, descriptor: int, size: int = READ_MAX) -> bool:
        """Take up to about `size` bytes of what is there; False at the end"""
        while size > 0:
            try:
                data = os.read(descriptor, READ_MAX)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._take(data)
            size -= len(data)
        return True

    def end(self, *, failed: bool) -> None:
        """The last line, and where it has `failed` the last ones that weren't shown"""
        if self._rest:
            self._say(self._rest)
        if self._lines > LINES_MAX and failed:
            for line in self._tail:
                self._log.info(f"{self._prefix}: {line}")

    def _take(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line)
        self._rest = rest[: 4 * LINE_MAX]

    def _say(self, line: bytes) -> None:
        # one line of the hook is one record: nothing in it may look like another
        text = printable(line[: 4 * LINE_MAX].decode("utf-8", "replace").rstrip("\r"))[:LINE_MAX]
        self._tail.append(text)
        self._lines += 1
        if self._lines <= LINES_MAX:
            self._log.info(f"{self._prefix}: {text}")
        elif self._lines == LINES_MAX + 1:
            self._log.info(f"{self._prefix}: what else it says is not shown")


def _unfit(name: str, path: str) -> str:
    """Why a file is no hook; "" if it is one"""
    if not NAME.fullmatch(name):
        return "names may have letters, digits, _ and - only"
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return str(error.strerror)
    if not stat.S_ISREG(mode):
        return "is no file"
    return "" if mode & 0o111 else "is not executable"


def _refused(path: str, why: str, remedy: str) -> ProviderError:
    return ProviderError("E-HOOK", f"Node hooks run as root, and {path} {why}", remedy)


def _failed(path: str, how: str, remedy: str) -> ProviderError:
    return ProviderError("E-HOOK", f"The node hook {path} {how}", remedy)
