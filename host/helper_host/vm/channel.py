"""The node's end of the port: bytes from the guest become events, or the guest is found lying

A pure state machine, so that it can be fuzzed; the guest is hostile. It holds at most one message and stops reading for
good at the first violation: bounds on a message, on all messages and on their number, the protocol's order (hello,
plan, the plan's steps one after the other, result, nothing), time that never runs backwards, and the job's nonce.
"""

from __future__ import annotations

from helper_agent import protocol
from helper_agent.protocol import Event, Hello, Log, Plan, Result, StepEnd, StepStart
from helper_agent.strict_json import ProtocolError


class ProtocolViolation(Exception):
    """The guest broke the protocol; nothing it has said or will say is to be trusted"""


class Channel:
    """What the guest said so far, checked"""

    def __init__(self, nonce: str) -> None:
        self.nonce = nonce
        self.went = False
        """Set when `GO` was sent: before it, nothing but hello and log lines may come."""
        self.hello: Hello | None = None
        self.plan: Plan | None = None
        self.result: Result | None = None
        self.ended: list[StepEnd] = []
        """Steps of the plan that ended, in its order."""
        self.running: str | None = None
        """The step that has started and not ended."""
        self.broken = False
        self._partial = bytearray()
        self._bytes = 0
        self._messages = 0
        self._time = 0.0

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes

        Raises:
            ProtocolViolation: also on every later call
        """
        if self.broken:
            raise ProtocolViolation("more after a violation")
        try:
            return self._feed(data)
        except ProtocolError as error:
            self.broken = True
            raise ProtocolViolation(f"The helper sent {error}") from None
        except ProtocolViolation:
            self.broken = True
            raise

    @property
    def partial(self) -> bool:
        """Whether a message has begun and not ended"""
        return bool(self._partial)

    def complete(self) -> bool:
        """Whether the guest said all that belongs to a success: every step of the plan ended well, and a good result"""
        return (
            not self.broken
            and not self.partial
            and self._all_well()
            and self.result is not None
            and self.result.failure is None
            and self.result.nonce == self.nonce
        )

    def _feed(self, data: bytes) -> list[Event]:
        self._bytes += len(data)
        if self._bytes > protocol.TOTAL_MAX:
            raise ProtocolViolation(f"The helper sent more than {protocol.TOTAL_MAX} bytes in all")
        events = []
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._grow(line)
            self._messages += 1
            if self._messages > protocol.MESSAGES_MAX:
                raise ProtocolViolation(f"The helper sent more than {protocol.MESSAGES_MAX} messages")
            event = protocol.decode(bytes(self._partial))
            self._partial.clear()
            self._accept(event)
            events.append(event)
        self._grow(rest)
        return events

    def _grow(self, part: bytes) -> None:
        if len(self._partial) + len(part) >= protocol.MESSAGE_MAX:
            raise ProtocolViolation(f"The helper sent a message of more than {protocol.MESSAGE_MAX} bytes")
        self._partial += part

    def _accept(self, event: Event) -> None:
        if self.result is not None:
            raise ProtocolViolation("The helper went on talking after its result")
        if event.t < self._time:
            raise ProtocolViolation("The helper's time ran backwards")
        self._time = event.t
        match event:
            case Hello():
                self._accept_hello(event)
            case _ if self.hello is None:
                raise ProtocolViolation("The helper's first word was not hello")
            case Log():
                pass
            case _ if not self.went:
                raise ProtocolViolation("The helper began before it was told to")
            case Plan():
                self._accept_plan(event)
            case StepStart():
                self._accept_start(event)
            case StepEnd():
                self._accept_end(event)
            case Result():
                self._accept_result(event)

    def _accept_hello(self, hello: Hello) -> None:
        if self.hello is not None:
            raise ProtocolViolation("The helper said hello twice")
        if hello.protocol != protocol.PROTOCOL_VERSION:
            raise ProtocolViolation(
                f"The helper speaks protocol {hello.protocol}, the node {protocol.PROTOCOL_VERSION}"
            )
        self.hello = hello

    def _accept_plan(self, plan: Plan) -> None:
        if self.plan is not None:
            raise ProtocolViolation("The helper sent two plans")
        if len(set(plan.steps)) != len(plan.steps):
            raise ProtocolViolation("The helper plans a step twice")
        self.plan = plan

    def _accept_start(self, start: StepStart) -> None:
        self._turn(start.step)
        self.running = start.step

    def _accept_end(self, end: StepEnd) -> None:
        if self.running is None and end.outcome == "skipped":
            self._turn(end.step)
        elif end.step != self.running:
            raise ProtocolViolation("The helper ended a step that was not running")
        self.running = None
        self.ended.append(end)

    def _turn(self, step: str) -> None:
        """It must be this step's turn; after a failure steps may be left out (no success can follow), not swapped"""
        if self.plan is None or self.running is not None:
            raise ProtocolViolation("The helper started a step out of order")
        rest = self.plan.steps[self.plan.steps.index(self.ended[-1].step) + 1 :] if self.ended else self.plan.steps
        if step not in (rest if self._failed() else rest[:1]):
            raise ProtocolViolation("The helper started a step that is not the plan's next")

    def _accept_result(self, result: Result) -> None:
        # the nonce is empty when the job could not be read, which is never a success
        if result.nonce != self.nonce and (result.failure is None or result.nonce):
            raise ProtocolViolation("The helper's result is not for this job")
        if result.failure is None and not self._all_well():
            raise ProtocolViolation("The helper reported success before every step had ended well")
        self.result = result

    def _all_well(self) -> bool:
        done = tuple(end.step for end in self.ended)
        return self.plan is not None and done == self.plan.steps and self.running is None and not self._failed()

    def _failed(self) -> bool:
        return any(end.outcome == "failed" for end in self.ended)
