"""The node that the agent's tests play, over a socket pair instead of a port"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from helper_agent import agent, protocol
from helper_agent.api import Context, Task
from helper_agent.description import Description
from helper_agent.job import Job
from helper_agent.protocol import Failure, Hello, Log, Result, StepEnd
from helper_agent.registry import Entry
from helper_agent.root import Root
from helper_agent.steps import Layers
from helper_agent.wire import Wire
from tests.helper.support import INSTANCE, Tree

SYSTEM = SimpleNamespace(family="linux", os_release={"ID": "debian"}, description=None, volumes=None)
JOB = Job(protocol.PROTOCOL_VERSION, "n0nce", "create", INSTANCE, "", "", (), {}, False, False)
SECRET = "S3cret!canary"


class Node:
    """The other end of the port, and everything the agent did"""

    def __init__(self, tree: Tree, disk: Path) -> None:
        self.here, there = socket.socketpair()
        self.here.settimeout(10)
        self.wire = Wire(there.detach())
        self.tree = tree
        self.disk = disk
        self.job = JOB
        self.tasks: list[Entry] = []
        self.prepare: Callable[[], Layers] = self.layers
        self.touched: list[str] = []
        """What was done, in order."""
        self.payloads: dict[str, bytes] = {}
        self.description: Description | None = None
        self.close_error: OSError | None = None
        self.crash: BaseException | None = None

    @property
    def path(self) -> str:
        """As `Mounted`"""
        return str(self.tree.path)

    def close(self) -> None:
        """As `Mounted`"""
        self.touched.append("umount")
        if self.close_error:
            raise self.close_error

    def task(self, name: str, do: Callable[[Context], None], phase: str = "filesystems", **more: Any) -> None:
        """Add a task"""
        self.tasks.append(Entry(Task(name, phase, **more), do, name, f"{name}.py"))

    def layers(self) -> Layers:
        """As `agent.real_layers`, without a VM"""
        return Layers(tuple(self.tasks), self._inspect, self._mount, self._detect, lambda: None, agent.debug_shell)

    def _inspect(self, *_: object) -> Any:
        self.touched.append("inspect")
        SYSTEM.description = self.description
        return SYSTEM

    def _mount(self, *_: object) -> Any:
        self.touched.append("mount")
        return self

    def _detect(self, release: Mapping[str, str], root: Root) -> Any:
        assert root.is_dir("/")
        return SimpleNamespace(id=release["ID"], known=True)

    def _take(self) -> tuple[dict[int, str], Job, dict[str, bytes]]:
        self.touched.append("job")
        return {0: str(self.disk)}, self.job, self.payloads

    def _serve(self) -> None:
        try:
            agent.serve(self.wire, prepare=self.prepare, take=self._take)
        except BaseException as error:
            self.crash = error
        finally:
            os.close(self.wire._fd)

    def start(self) -> None:
        """Run the agent in a thread"""
        threading.Thread(target=self._serve, daemon=True).start()

    def lines(self) -> Iterator[bytes]:
        """What the agent sends, until it closes the port"""
        with self.here.makefile("rb") as stream:
            try:
                yield from stream
            except ConnectionResetError:  # it closed the port with something unread in it
                pass

    def said(self) -> list[bytes]:
        """All lines of a whole run, in which the node says go at once"""
        found: list[bytes] = []
        reader = threading.Thread(target=lambda: found.extend(self.lines()), daemon=True)
        reader.start()
        self.here.sendall(protocol.GO)
        self._serve()  # in the main thread: a signal's handler can't be set in another
        reader.join(10)
        return found

    def run(self) -> list[protocol.Event]:
        """A whole run; all events but hello"""
        events = [protocol.decode(line) for line in self.said()]
        assert isinstance(events[0], Hello)
        assert isinstance(events[-1], Result)
        times = [event.t for event in events]
        assert times == sorted(times)
        return events[1:]


def steps(events: list[protocol.Event]) -> list[str]:
    """`name outcome` of every step"""
    return [f"{event.step} {event.outcome}" for event in events if isinstance(event, StepEnd)]


def details(events: list[protocol.Event]) -> dict[str, str]:
    """What was said at each step's end"""
    return {event.step: event.detail for event in events if isinstance(event, StepEnd)}


def logs(events: list[protocol.Event], level: str) -> list[str]:
    """The log lines of a level"""
    return [event.message for event in events if isinstance(event, Log) and event.level == level]


def failure(events: list[protocol.Event]) -> Failure:
    """The result's failure"""
    result = events[-1]
    assert isinstance(result, Result)
    assert result.failure is not None
    return result.failure


def raising(error: BaseException) -> Callable[[Context], None]:
    """A task that does"""

    def task(context: Context) -> None:
        raise error

    return task
