"""A guard process that finishes what a killed `create` can't: end the VM, wipe the disk's head

SIGKILL gives `create` no last word, and from the moment the disk's head is written until the helper has reported
success the disk looks finished while it isn't. So a forked child waits on a pipe. It is told the VM's process and
when there is something to wipe; when the pipe ends without the word that all is well, it acts.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from types import TracebackType

ARM, DISARM = b"a", b"d"
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
VM_END_SECONDS = 10.0


class Guard:
    """Forks the guard process; make it before any thread exists

    Only `disarm` calls off the wipe: whoever leaves the context in another way, by a failure in the middle of tidying
    up, say, leaves it to the guard.

    `wipe` runs in the guard, with the descriptors the caller had open at that moment (the disk among them, whose lock
    is thereby held until the guard has ended).
    """

    def __init__(self, wipe: Callable[[], object]) -> None:
        reader, self._writer = os.pipe2(os.O_CLOEXEC)
        # a signal's exception in the child would run the caller's tidying up a second time
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._writer)
                _watch(reader, wipe)
            finally:
                os._exit(0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(reader)

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._writer)
        os.waitpid(self._pid, 0)

    def arm(self) -> None:
        """From now on the disk must not survive us"""
        self._tell(ARM)

    def disarm(self) -> None:
        """The disk is finished"""
        self._tell(DISARM)

    def watch(self, pid: int) -> None:
        """The VM's process is now `pid`: it must be gone before anything is wiped"""
        self._tell(b"%d\n" % pid)

    def watch_group(self, pid: int) -> None:
        """As `watch`, for the leader of a process group: all of the group must be gone"""
        self._tell(b"-%d\n" % pid)

    def _tell(self, word: bytes) -> None:
        try:
            os.write(self._writer, word)
        except BrokenPipeError:
            pass  # somebody killed the guard: nothing is lost but the guard


def _watch(reader: int, wipe: Callable[[], object]) -> None:
    os.setsid()
    for number in (*ENDINGS, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    armed, vm, group, digits = False, -1, 0, b""
    while word := os.read(reader, 1):
        if word in (ARM, DISARM):
            armed = word == ARM
        elif word == b"\n":
            # a pidfd, because by the time it is needed the number may belong to somebody else
            pid, digits = int(digits), b""
            vm, group = _open_process(abs(pid), vm), max(-pid, 0)
        else:
            digits += word
    if vm >= 0:
        _end(vm, group)
    if armed:
        wipe()


def _open_process(pid: int, previous: int) -> int:
    if previous >= 0:
        os.close(previous)
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def _end(vm: int, group: int) -> None:
    try:
        signal.pidfd_send_signal(vm, signal.SIGKILL)
        if group:
            os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
    # not select(2), which takes no descriptor above 1023
    poll = select.poll()
    poll.register(vm, select.POLLIN)
    poll.poll(VM_END_SECONDS * 1000)
