"""The guest's end of the virtio-serial port

The port is opened once, read-write: a second open would lose what the node said in between. The node ends a run that
sends too much, so the agent keeps within the protocol's bounds by itself, whatever a hostile image makes tasks write.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from helper_agent import protocol

LOGS_MAX = protocol.MESSAGES_MAX // 2
"""Log events of one run; what remains is for steps and the result."""
LOG_BYTES_MAX = protocol.TOTAL_MAX // 2
LOG_TEXT_MAX = 4000
"""Most characters of one log event."""
SECRET_MIN = 6
"""Shorter texts are no secrets: striking out every `a` would only make a log unreadable."""


class Disconnected(Exception):
    """The node closed its end"""


def now() -> float:
    """Seconds since the kernel started"""
    return round(time.clock_gettime(time.CLOCK_BOOTTIME), 3)


class Wire:
    """Sends events through the descriptor `fd` and waits for the node's one word"""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._secrets: tuple[str, ...] = ()
        self._logs = 0
        self._log_bytes = 0
        self._sending = False
        self.verbose = False
        """Whether debug lines are sent."""

    def hide(self, secrets: Iterable[str]) -> None:
        """Texts that no event may contain: each is struck out as a whole and line by line"""
        texts = {text for secret in secrets for text in (secret, *secret.splitlines()) if len(text) >= SECRET_MIN}
        self._secrets = tuple(sorted(texts, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """`text` with secrets struck out"""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "[secret]")
        return text

    def hello(self) -> None:
        """The first event"""
        self._send(protocol.Hello(protocol.PROTOCOL_VERSION, protocol.AGENT_VERSION, now()))

    def wait_for_go(self) -> None:
        """Wait until the node says that disks and job are complete

        Raises:
            Disconnected: it closed its end, or said something else
        """
        said = b""
        while not said.endswith(b"\n") and len(said) < len(protocol.GO):
            part = os.read(self._fd, len(protocol.GO) - len(said))
            if not part:
                raise Disconnected("the node closed the port before it said go")
            said += part
        if said != protocol.GO:
            raise Disconnected("the node said something else than go")

    def plan(self, steps: Iterable[str]) -> None:
        """The steps to come"""
        self._send(protocol.Plan(tuple(steps), now()))

    def start(self, step: str) -> None:
        """`step` begins"""
        self._send(protocol.StepStart(step, now()))

    def end(self, step: str, outcome: str, detail: str = "") -> None:
        """`step` ended"""
        self._send(protocol.StepEnd(step, outcome, self.clean(detail), now()))

    def log(self, step: str, level: str, message: str) -> None:
        """A line for the node's log; beyond the bounds it is dropped, with one warning"""
        if self._sending or self._logs > LOGS_MAX or (level == "debug" and not self.verbose):
            return
        message = self.clean(message)
        if len(message) > LOG_TEXT_MAX:
            message = f"{message[:LOG_TEXT_MAX]} [...]"
        self._logs += 1
        self._log_bytes += len(message)
        if self._logs > LOGS_MAX or self._log_bytes > LOG_BYTES_MAX:
            self._logs = LOGS_MAX + 1
            level, message = "warning", "too many log lines, no more are sent"
        self._send(protocol.Log(level, step, message, now()))

    def result(self, nonce: str, failure: protocol.Failure | None) -> None:
        """The last event"""
        if failure is not None:
            failure = failure._replace(
                cause=self.clean(failure.cause),
                remedy=self.clean(failure.remedy),
                output=self.clean(failure.output),
            )
        self._send(protocol.Result(nonce, failure, now()))

    def _send(self, event: protocol.Event) -> None:
        # `_sending` keeps a signal handler's log line from getting into the middle of another
        self._sending = True
        try:
            line = memoryview(protocol.encode(event))
            while line:
                line = line[os.write(self._fd, line) :]
        finally:
            self._sending = False
