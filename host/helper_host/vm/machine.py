"""One run of QEMU: listened to, ended, and what became of it

`Machine` owns the process and every descriptor to it; leaving the context leaves nothing behind. It records facts,
`Verdict` judges them.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

from helper_agent import protocol
from helper_agent.protocol import Event
from helper_host.errors import ProviderError
from helper_host.vm import launch
from helper_host.vm.channel import Channel, ProtocolViolation
from helper_host.vm.launch import MachineSpec
from helper_host.vm.qmp import BlockError, Monitor, MonitorEvent, MonitorViolation, Panicked, Shutdown
from helper_host.vm.verdict import Verdict, start_error
from helper_host.vm.visitor import Desk

__all__ = ["Console", "Ended", "Machine", "MachineEvent", "MachineSpec", "Verdict", "Woken"]

CONSOLE_LINES = 200
CONSOLE_LINE_MAX = 1000
CONSOLE_MAX = 16 * 1024 * 1024
"""Bytes of console output after which the helper counts as flooding."""
CONSOLE_LINES_MAX = 50_000
"""Each costs more than its bytes; a kernel that tells everything prints about 500."""
STDERR_MAX = 8 * 1024
"""Bytes of QEMU's stderr that are kept."""
STDERR_FLOOD = 1024 * 1024
READ_SIZE = 64 * 1024
KILL_SECONDS = 10.0


class Woken(NamedTuple):
    """The caller's wakeup descriptor is readable"""


class Console(NamedTuple):
    """A line from the guest's serial console"""

    line: str


class Ended(NamedTuple):
    """QEMU has ended and was reaped; the last event"""

    returncode: int


MachineEvent = Event | MonitorEvent | Woken | Console | Ended


class Machine:
    """One QEMU process; a context manager: entering starts it, leaving ends it and frees everything

    Start it from a thread that outlives it (the main thread): when the starting thread ends, the kernel kills QEMU.
    """

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        self.channel = Channel(spec.nonce)
        self.console: deque[str] = deque(maxlen=CONSOLE_LINES)
        self.returncode: int | None = None
        self._monitor = Monitor()
        self._selector = selectors.DefaultSelector()
        self._process: launch.Process | None = None
        self._status = b""
        self._stderr = b""
        self._console_partial = b""
        self._console_bytes = self._console_lines = self._stderr_bytes = 0
        self._shutdowns: list[str] = []
        self._block_errors: list[BlockError] = []
        self._panicked = self._killed = False
        self._violation = self._expired = ""
        self._deadlines: dict[str, float] = {}
        self._desk: Desk | None = None

    # --- start and end ---

    def __enter__(self) -> Machine:
        process = self._process = launch.launch(self.spec)
        try:
            self._listen(process)
        except BaseException:
            self._close(process)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._close(self._process)

    def _listen(self, process: launch.Process) -> None:
        for descriptor, handler in (
            (process.port.fileno(), self._read_channel),
            (process.monitor.fileno(), self._read_monitor),
            (process.console, self._read_console),
            (process.status, self._read_status),
            (process.stderr, self._read_stderr),
            (process.pidfd, self._exited),
        ):
            self._selector.register(descriptor, selectors.EVENT_READ, handler)
        self._deadlines = {"hello": time.monotonic() + self.spec.hello_seconds}
        if self.spec.shell:
            self._desk = self._offer_console(self.spec.shell, process.console)

    def _offer_console(self, path: str, console: int) -> Desk:
        try:
            return Desk(path, console, self._selector)
        except OSError as error:
            cause = f"The helper's console could not be offered at {path}: {error}"
            raise ProviderError("E-VM-START", cause, "switch debug_shell off in the settings") from None

    def _close(self, process: launch.Process) -> None:
        self.kill()
        self._close_desk()
        self._selector.close()
        for end in (process.port, process.monitor):
            end.close()
        for descriptor in (process.console, process.status, process.stderr, process.pidfd):
            os.close(descriptor)
        if process.cgroup is not None:
            process.cgroup.remove()

    @property
    def pid(self) -> int:
        """QEMU's process id (the launcher's, which becomes QEMU)"""
        assert self._process is not None
        return self._process.popen.pid

    def kill(self) -> None:
        """End QEMU now and reap it; takes milliseconds"""
        if self.returncode is not None:
            return
        assert self._process is not None
        self._killed = True
        self._process.popen.send_signal(signal.SIGKILL)
        self._reap()

    def go(self) -> None:
        """Tell the guest that disks and job are complete; from now on the silence and total clocks run"""
        self.channel.went = True
        now = time.monotonic()
        if not self.spec.shell:
            self._deadlines = {"silence": now + self.spec.silence_seconds, "total": now + self.spec.total_seconds}
        assert self._process is not None
        try:
            self._process.port.send(protocol.GO)
        except OSError:
            pass  # it has just died: the loop will see that

    def verdict(self) -> Verdict:
        """What became of it; final once `events` has ended or after `kill`"""
        channel = self.channel
        return Verdict(
            greeted=channel.hello is not None,
            went=channel.went,
            result=channel.result,
            complete=channel.complete(),
            shutdowns=tuple(self._shutdowns),
            returncode=self.returncode,
            block_errors=tuple(self._block_errors),
            panicked=self._panicked,
            violation=self._violation,
            expired=self._expired,
            killed=self._killed,
            start_error=start_error(self._status),
            said=self._stderr.decode("utf-8", "replace").strip(),
            ran_step=channel.running or "",
        )

    # --- the loop ---

    def events(self, wakeup: int | socket.socket | None = None) -> Iterator[MachineEvent]:
        """What happens, as it happens, up to and including `Ended`

        A violation, a flood or a clock that strikes ends QEMU; the caller sees `Ended` and asks for the `verdict`.
        `wakeup` is a descriptor of the caller's; it must be drained before the next event is asked for.
        """
        if wakeup is not None:
            self._selector.register(wakeup, selectors.EVENT_READ, self._wake)
        try:
            while self.returncode is None:
                for key, _ in self._selector.select(self._patience()):
                    yield from key.data(key.fd)
                self._look_at_clocks()
        finally:
            if wakeup is not None:
                self._selector.unregister(wakeup)
        self._close_desk()
        # QEMU has gone: what is left in the pipes is all there will be
        for key in list(self._selector.get_map().values()):
            while key.fd in self._selector.get_map():
                yield from key.data(key.fd)
        if self.returncode == 0 and self.channel.partial and not self._violation:
            self._violation = "The helper's last message is cut off"
        yield Ended(self.returncode)

    def _close_desk(self) -> None:
        if self._desk is not None:
            self._desk.close()
            self._desk = None

    def _patience(self) -> float | None:
        if not self._deadlines:
            return None
        return max(0.0, min(self._deadlines.values()) - time.monotonic())

    def _look_at_clocks(self) -> None:
        now = time.monotonic()
        for name, deadline in self._deadlines.items():
            if now >= deadline and self.returncode is None and not self._expired:
                self._expired = name
                self.kill()

    def _wake(self, _: int) -> Iterator[MachineEvent]:
        yield Woken()

    def _exited(self, _: int) -> Iterator[MachineEvent]:
        self._reap()
        yield from ()

    def _read_status(self, descriptor: int) -> Iterator[MachineEvent]:
        self._status = (self._status + self._read(descriptor))[:STDERR_MAX]
        yield from ()

    def _read_stderr(self, descriptor: int) -> Iterator[MachineEvent]:
        data = self._read(descriptor)
        self._stderr = (self._stderr + data)[-STDERR_MAX:]
        self._stderr_bytes += len(data)
        if self._stderr_bytes > STDERR_FLOOD:
            self._violate(f"QEMU printed more than {STDERR_FLOOD} bytes of errors")
        yield from ()

    def _read_channel(self, descriptor: int) -> Iterator[MachineEvent]:
        data = self._read(descriptor)
        if self._violation:
            return
        try:
            events = self.channel.feed(data)
        except ProtocolViolation as error:
            self._violate(str(error))
            return
        for event in events:
            self._deadlines.pop("hello", None)
            if "silence" in self._deadlines:
                self._deadlines["silence"] = time.monotonic() + self.spec.silence_seconds
            yield event

    def _read_monitor(self, descriptor: int) -> Iterator[MachineEvent]:
        data = self._read(descriptor)
        if self._violation:
            return
        try:
            events = self._monitor.feed(data)
        except MonitorViolation as error:
            self._violate(str(error))
            return
        for event in events:
            match event:
                case Shutdown(reason):
                    self._shutdowns.append(reason)
                case Panicked():
                    self._panicked = True
                case BlockError():
                    self._block_errors.append(event)
            yield event

    def _read_console(self, descriptor: int) -> Iterator[MachineEvent]:
        data = self._read(descriptor)
        self._console_bytes += len(data)
        self._console_lines += data.count(b"\n")
        if self._desk is not None:
            self._desk.show(data)
        elif self._console_bytes > CONSOLE_MAX or self._console_lines > CONSOLE_LINES_MAX:
            self._violate(f"The helper printed more than {CONSOLE_MAX} bytes or {CONSOLE_LINES_MAX} lines")
            return
        if not data and self._console_partial:
            data = b"\n"
        *lines, self._console_partial = (self._console_partial + data).split(b"\n")
        self._console_partial = self._console_partial[:CONSOLE_LINE_MAX]
        for line in lines:
            text = line[:CONSOLE_LINE_MAX].decode("utf-8", "replace").rstrip("\r")
            self.console.append(text)
            yield Console(text)

    def _read(self, descriptor: int) -> bytes:
        """What there is; at the end of the stream b"", and the descriptor is not looked at again"""
        try:
            data = os.read(descriptor, READ_SIZE)
        except BlockingIOError:
            if self.returncode is None:
                return b""
            data = b""
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(descriptor)
        return data

    def _violate(self, how: str) -> None:
        self._violation = self._violation or how
        self.kill()

    def _reap(self) -> None:
        assert self._process is not None
        if self.returncode is None:
            try:
                self.returncode = self._process.popen.wait(KILL_SECONDS)
            except subprocess.TimeoutExpired:
                raise ProviderError(
                    "E-VM-DIED",
                    f"QEMU (process {self.pid}) was killed and does not end: the storage of a disk does not answer",
                    "look at the storage and at dmesg; don't start the instance",
                ) from None
            if self._process.pidfd in self._selector.get_map():
                self._selector.unregister(self._process.pidfd)
