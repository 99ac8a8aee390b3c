"""Work that goes on in threads while the VM boots, and wakes the main loop when it ends"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType

JOIN_SECONDS = 30.0
NICE = 5
"""The VM's boot is what everything else waits for: on two cores it would share one with this work."""


class Background:
    """Threads whose end can be waited for together with descriptors; a context manager that leaves no thread behind

    `wakeup` becomes readable whenever a piece of work has ended. `cancel` is set on leaving, and every piece of work is
    expected to look at it about ten times a second.
    """

    def __init__(self) -> None:
        self.wakeup, self._signal = socket.socketpair()
        self.wakeup.setblocking(False)
        self.cancel = threading.Event()
        self._threads: list[threading.Thread] = []
        self._waiting: set[str] = set()
        self._errors: list[BaseException] = []

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        self.wakeup.close()
        self._signal.close()

    @property
    def busy(self) -> bool:
        """Whether any work is under way"""
        return bool(self._waiting)

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run `work` in a thread of its own"""

        def body() -> None:
            try:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
                work()
            except BaseException as error:
                self._errors.append(error)
            finally:
                self._waiting.discard(name)
                try:
                    self._signal.send(b"x")
                except OSError:
                    pass  # nobody waits any more

        self._waiting.add(name)
        # a daemon, so that a write that hangs in the kernel can't keep a failed run from ending
        thread = threading.Thread(target=body, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def finished(self) -> bool:
        """Whether all work has ended well

        Raises:
            what the work raised, first come first served
        """
        try:
            while self.wakeup.recv(64):
                pass
        except BlockingIOError:
            pass
        if self._errors:
            raise self._errors[0]
        return not self._waiting

    def wait(self) -> None:
        """Until all work has ended well

        Raises:
            what the work raised, first come first served
        """
        # not select(2), which takes no descriptor above 1023
        poll = select.poll()
        poll.register(self.wakeup, select.POLLIN)
        while not self.finished():
            poll.poll()
