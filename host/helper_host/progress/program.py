"""The administrator's program that gets a deployment's events: snf-image's PROGRESS_MONITOR

It gets the instance's name as its argument and a JSON object a line on stdin, and may do with them what it likes; the
deployment doesn't wait for it. Its pipe is written without waiting: events that it doesn't read are kept, to a bound,
and then given up. What it prints is read and forgotten, but for the last line of one that fails.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections import deque
from typing import TYPE_CHECKING

from helper_host import trusted
from helper_host.endings import ENDINGS
from helper_host.errors import ProviderError
from helper_host.log import Log, printable
from helper_host.progress import snf_events
from helper_host.progress.activity import BYTES, STEP, Activity
from helper_host.progress.base import Outcome, Sink

if TYPE_CHECKING:
    import subprocess

COPY = "writing image"
"""The work that is snf-image's copy."""
SECONDS = 1.0
"""Between two events of a copy; snf-image's came every 3."""
QUEUE_MAX = 1000
"""Events that wait for a program which doesn't read, above what its pipe takes (64 KiB)."""
FLUSH_SECONDS, END_SECONDS, TERM_SECONDS = 0.5, 2.0, 0.5
"""At the end: for what it hasn't read yet, for its own end when stdin has ended, and after SIGTERM."""
OUTPUT_MAX = 1 << 20
"""Bytes of output that are read at once."""
PR_SET_PDEATHSIG = 1
"""include/uapi/linux/prctl.h."""
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


def check(path: str) -> None:
    """Whether a deployment could start it; nothing is run

    Raises:
        ProviderError: E-SETTINGS
    """
    try:
        trusted.check_way(path)
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            raise trusted.Untrusted("is no program that can be run", f"chmod +x {path}")
    except trusted.Untrusted as error:
        raise _refused(path, error.why, error.remedy) from None
    except OSError as error:
        raise _refused(path, f"can't be run ({error.strerror})", "correct progress_monitor in the settings") from None


def _refused(path: str, why: str, remedy: str) -> ProviderError:
    return ProviderError("E-SETTINGS", f"The progress monitor runs as root, and {path} {why}", remedy)


class Program(Sink):
    """Runs the program from now until `close`; call from the main thread while there is no other

    Raises:
        OSError, trusted.Untrusted: it can't be run, or somebody else than root could have put it there
    """

    name = "the progress monitor"

    def __init__(self, path: str, instance: str, log: Log) -> None:
        trusted.check_way(path)
        self._path = path
        self._log = log
        self._process = _start(path, instance)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin: int = self._process.stdin.fileno()
        self._stdout: int = self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self._ended = os.pidfd_open(self._process.pid)
        self._waiting: deque[bytes] = deque()
        self._due = 0.0
        self._lost = 0
        self._deaf = False
        self._said = b""

    # --- events -------------------------------------------------------------------------------------------------------

    def begin(self, activity: Activity) -> None:
        if activity.kind == STEP:
            self._send(snf_events.task_start(activity.what))
        elif activity.kind == BYTES:
            self._send(snf_events.info("Starting image copy..." if activity.what == COPY else f"{activity.what}..."))

    def progress(self, activity: Activity, now: float) -> None:
        if activity.what == COPY and now >= self._due and not activity.complete:
            self._due = now + SECONDS
            self._send(snf_events.copied(activity.done, activity.total))

    def end(self, activity: Activity, remark: str) -> None:
        if activity.kind == STEP:
            # snf-image tells the end of tasks that went well
            if not remark.startswith("failed"):
                self._send(snf_events.task_end(activity.what))
        elif activity.what == COPY:
            # where the size was not known before, it is now
            self._send(snf_events.copied(activity.done, activity.total or activity.done))
            self._send(snf_events.info("Image copy finished."))

    def notice(self, text: str) -> None:
        self._send(snf_events.helper_warning(text))

    # --- the process --------------------------------------------------------------------------------------------------

    def close(self, outcome: Outcome) -> None:
        """The last event; then stdin ends, and a moment later the program and what it has started"""
        if outcome.in_helper:
            self._send(snf_events.helper_error(outcome.error))
        if outcome.well:
            self._send(snf_events.info("Image customization finished successfully."))
        else:
            self._send(snf_events.error(outcome.error))
        self._flush(time.monotonic() + FLUSH_SECONDS)
        if self._waiting or self._lost:
            self._log.info(f"{self.name} {self._path} did not read {len(self._waiting) + self._lost} events")
        self._end()

    def _send(self, event: bytes) -> None:
        if self._deaf:
            return
        if len(self._waiting) >= QUEUE_MAX:
            # the oldest is what is missed least; the one in front may be half written
            del self._waiting[1]
            self._lost += 1
        self._waiting.append(event)
        self._write()
        self._listen()

    def _write(self) -> None:
        """As much as the pipe takes"""
        while self._waiting:
            event = self._waiting[0]
            try:
                written = os.write(self._stdin, event)
            except BlockingIOError:
                return
            except OSError:  # it reads no more, and SIGPIPE is ignored in Python
                self._deaf = True
                self._waiting.clear()
                return
            if written < len(event):
                self._waiting[0] = event[written:]
                return
            self._waiting.popleft()

    def _listen(self) -> None:
        """Read what it prints, so that it never waits for us"""
        left = OUTPUT_MAX
        while left > 0:
            try:
                data = os.read(self._stdout, 1 << 16)
            except OSError:
                return
            if not data:
                return
            left -= len(data)
            self._said = (self._said + data)[-1000:]

    def _flush(self, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._stdin, select.POLLOUT)
        poll.register(self._ended, select.POLLIN)
        while self._waiting and (left := deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(left * 1000))
            if self._ended in ready:
                return
            self._write()
            self._listen()

    def _end(self) -> None:
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        in_time = self._gone(END_SECONDS)
        if not in_time:
            self._signal(signal.SIGTERM)
            self._gone(TERM_SECONDS)
        # before it is waited for: until then its id is its own. What it has left behind goes too
        self._signal(signal.SIGKILL)
        self._listen()
        code = process.wait()
        process.stdout.close()
        os.close(self._ended)
        if not in_time:
            self._log.info(f"{self.name} {self._path} was still at work at the end, and has been ended")
        elif code != 0:
            said = printable(self._said.decode("utf-8", "replace").strip().rpartition("\n")[2])[:200]
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            self._log.warning(f"{self.name} {self._path} failed ({how}){f': {said}' if said else ''}")

    def _gone(self, seconds: float) -> bool:
        """Whether it ends within so many seconds"""
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        poll.register(self._stdout, select.POLLIN)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poll.poll(left * 1000))
            if self._ended in ready:
                return True
            if ready.get(self._stdout, 0) & select.POLLIN:
                self._listen()
            elif self._stdout in ready:
                poll.unregister(self._stdout)
        return False

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, number)


def _start(path: str, instance: str) -> subprocess.Popen[bytes]:
    import subprocess

    # a signal's exception while it begins would leave it to itself
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        return subprocess.Popen(
            [path, instance],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            cwd="/",
            umask=0o022,
            start_new_session=True,
            preexec_fn=lambda: _begin(before),  # noqa: PLW1509  no other thread is there that could hold a lock
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(mask: set[signal.Signals | int]) -> None:
    """In the new process: when we die, it dies"""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
