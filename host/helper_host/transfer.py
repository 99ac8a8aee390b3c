"""Large downloads: what a server says of a file, and the file's bytes as they come, through broken connections

A thread does the work, since neither a name that doesn't resolve nor a server that drips can be interrupted; blocks
wait in a short queue, and whoever takes them looks at `cancel` meanwhile. So a download goes on while its bytes are
used.

What servers say is believed as little as possible: a body must have the length that was announced, a part must be the
one that was asked for and of the same file, and what is no answer to our question is none.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import SplitResult

from helper_host import answers, http
from helper_host.answers import Answered, Changed, Validators
from helper_host.http import Body, Headers, Rules
from helper_host.http_failures import BROKEN, FetchError
from helper_host.image.content import interrupted

__all__ = ["PATIENCE", "Changed", "Facts", "FetchError", "Patience", "Transfer", "Validators"]

BLOCK = 1 << 19
QUEUED = 4
"""Blocks that wait for whoever takes them."""
RECORD = 1 << 14
"""Bytes of a TLS record (RFC 8446 section 5.1), which is what one read gives."""
GATHER_SECONDS = 0.3
"""Blocks are gathered where they are full within this time."""
LOOK_SECONDS = 0.2
"""How often `cancel` is looked at."""
RATE_MIN = 1024
"""Bytes a second below which a server is taken for one that is not well; 1 GiB would take 12 days."""
PROGRESS = 1 << 20
"""Bytes of a connection after which it counts as one that worked."""
BREAKS_MAX = 200
"""Connections of a download."""


class Patience(NamedTuple):
    """What is done about failures that may pass"""

    tries: int = 5
    """In a row without bytes to speak of."""
    first: float = 0.5
    """Seconds before the second try; twice as many before each further one."""
    longest: float = 10.0
    asked: float = 60.0
    """Most seconds that a server may ask for with Retry-After."""


PATIENCE = Patience()


class Facts(NamedTuple):
    """What a server says of a file"""

    shown: str
    """Its URL for people."""
    size: int | None
    """Bytes of all of it; None: it doesn't say."""
    validators: Validators = Validators()
    not_modified: bool = False
    """It is as the `condition` has it, and there are no blocks."""


class _End:
    """After the last block"""


class Transfer:
    """A download of one file; a context manager, or `close()`

    Args:
        url: http or https, as `rules` allow
        headers_by_host: sent to just these hosts, also when a redirect leads there
        cancel: everything here ends within a second of it
        checked: the bytes are checked by a checksum or a signature afterwards: a redirect from https to http, and a
            body whose end can't be told from a broken connection, will do
        notice: gets what was not as hoped, for the log; called in the thread that takes the blocks
    """

    def __init__(
        self,
        url: str,
        rules: Rules,
        headers_by_host: Mapping[str, Headers],
        cancel: threading.Event,
        *,
        checked: bool = False,
        notice: Callable[[str], None] = lambda _: None,
        patience: Patience | None = None,
    ) -> None:
        self._url, self._rules = url, rules
        self.cancel = cancel
        """May be replaced, between blocks."""
        self._headers_of = http.for_hosts(headers_by_host, url)
        self._checked, self._notice, self._patience = checked, notice, patience or PATIENCE
        self._queue: queue.Queue[bytes | str | Facts | _End | BaseException] = queue.Queue(QUEUED)
        self._closed = threading.Event()
        self._body: Body | None = None
        self._deadline = float("inf")
        """When whatever the thread waits for takes too long."""
        self._too_slow = False
        self._condition: Validators | None = None
        self._known: Answered | None = None
        self._first = self._position = 0

    def __enter__(self) -> Transfer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(
        self, *, condition: Validators | None = None, position: int = 0, validators: Validators | None = None
    ) -> Facts:
        """Ask for the file; once

        Args:
            condition: bytes are only wanted if they aren't these
            position: bytes that are there already, of what had these `validators`

        Raises:
            FetchError: it can't be had
            Changed: the server has other bytes now than the ones that are there, or nobody can tell
            ProviderError: E-INTERRUPTED
        """
        if position:
            if not (validators or Validators()).for_range():
                raise Changed
            self._known = Answered(None, validators or Validators(), position)
        self._condition = condition
        self._first = self._position = position
        threading.Thread(target=self._work, name="transfer", daemon=True).start()
        while not isinstance(facts := self._take(), Facts):
            assert isinstance(facts, str)
            self._notice(facts)
        return facts

    def blocks(self) -> Iterator[bytes]:
        """The bytes from `position` on, to the end of the file; once

        Raises:
            FetchError: it broke off for good
            Changed: the server has other bytes now
            ProviderError: E-INTERRUPTED
        """
        while not isinstance(item := self._take(), _End):
            if isinstance(item, str):
                self._notice(item)
            else:
                assert isinstance(item, bytes)
                yield item

    def close(self) -> None:
        """Close the connection; harmless when repeated"""
        self._closed.set()
        if (body := self._body) is not None:
            body.stop()

    # --- whoever takes the blocks ---------------------------------------------------------------------------------

    def _take(self) -> bytes | str | Facts | _End:
        while True:
            if self.cancel.is_set():
                self.close()
                raise interrupted()
            try:
                item = self._queue.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self._look()
                continue
            if isinstance(item, BaseException):
                self.close()
                raise item
            return item

    def _look(self) -> None:
        """End what takes too long although the server says something now and then"""
        if time.monotonic() < self._deadline:
            return
        if (body := self._body) is None:
            self.close()
            raise FetchError("does not begin to come", "see whether the server is well, and its name resolves")
        self._deadline = float("inf")
        self._too_slow = True
        body.stop()

    # --- the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._try()
            self._put(_End())
        except BaseException as error:
            self._put(error)

    def _put(self, item: bytes | str | Facts | _End | BaseException) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=LOOK_SECONDS)
            except queue.Full:
                continue
            return

    def _try(self) -> None:
        """Connect, and connect again"""
        failed = 0
        for _ in range(BREAKS_MAX):
            before = self._position
            try:
                if self._connect():
                    return
                failed = 0  # the server has sent less than was asked for, as it may
            except FetchError as error:
                if self._closed.is_set():
                    return
                failed = 1 if self._position - before >= PROGRESS else failed + 1
                self._wait(error, failed)
            if self._closed.is_set():
                return
        raise FetchError(f"broke off {BREAKS_MAX} times", "see whether the server is well")

    def _wait(self, error: FetchError, failed: int) -> None:
        patience = self._patience
        if not error.passing or failed >= patience.tries:
            tried = f" (tried {failed} times)" if failed > 1 else ""
            raise FetchError(f"{error.cause}{tried}", error.remedy) from None
        if self._position > self._first and not (self._known and self._known.validators.for_range()):
            raise FetchError(
                f"{error.cause}, and can't be continued: the server says neither ETag nor Last-Modified", error.remedy
            ) from None
        seconds = min(patience.first * 2 ** (failed - 1), patience.longest)
        if error.after is not None:
            if error.after > patience.asked:
                raise FetchError(error.cause, f"the server asks to try again in {error.after:.0f} s") from None
            seconds = max(seconds, error.after)
        where = f" after {self._position} bytes" if self._position else ""
        self._put(f"{http.shown(self._url)} {error.cause}{where}; trying again in {seconds:.1f} s")
        self._closed.wait(seconds)

    def _connect(self) -> bool:
        """One connection's worth of it; False: the server has sent a part only, as it may"""
        rules = self._rules
        # a head that comes byte by byte is never silent
        self._deadline = time.monotonic() + 2 * (rules.connect_seconds + rules.silence_seconds)
        try:
            with http.ask(self._url, rules, self._sent, statuses=(200, 206, 304, 416), downgrade=self._checked) as body:
                self._body = body
                self._deadline = float("inf")
                if self._closed.is_set():
                    return True
                answered = answers.judge(body, self._known, self._position, conditional=self._condition is not None)
                return self._use(body, answered)
        finally:
            self._body = None
            self._deadline = float("inf")

    def _sent(self, split: SplitResult) -> Headers:
        headers = dict(self._headers_of(split))
        if self._condition is not None and self._known is None:
            headers |= self._condition.as_condition()
        if self._position and self._known is not None:
            headers |= {"Range": f"bytes={self._position}-", "If-Range": self._known.validators.for_range()}
        return headers

    def _use(self, body: Body, answered: Answered) -> bool:
        if not (answered.ended or answered.has_end or self._checked):
            raise FetchError(
                "comes without a length: nobody could tell a part of it from all of it",
                "give its checksum, or get it from another server",
            )
        begun = self._known is not None and self._known.told
        self._known = answered._replace(told=True)
        if not begun:
            self._put(Facts(http.shown(self._url), answered.size, answered.validators, answered.not_modified))
        if answered.ended:
            return True
        self._pass(body, answered)
        size = answered.size
        if size is None or self._position == size:
            return True
        if self._position > size:
            raise FetchError(f"has more bytes than the {size} that the server has announced", "look at the server")
        if self._position == answered.until:
            return False
        raise FetchError(*BROKEN, passing=True)

    def _pass(self, body: Body, answered: Answered) -> None:
        """Hand on the body's bytes, but for those that were had before"""
        skip = self._position - answered.start
        self._too_slow = False
        for block in self._gathered(body):
            part = block[skip:] if skip else block
            skip -= min(skip, len(block))
            if part:
                self._put(part)
                self._position += len(part)
            if self._closed.is_set():
                return

    def _gathered(self, body: Body) -> Iterator[bytes]:
        """Full blocks where the bytes come fast, what is there where they don't: nobody waits for a rest then"""
        clock = _Clock(self._rules.silence_seconds)
        fast = False
        burst, begun = 0, time.monotonic()
        while True:
            since = time.monotonic()
            # twice: one that is silent ends by itself
            self._deadline = since + 2 * self._rules.silence_seconds
            try:
                block = body.full(BLOCK) if fast else body.some(RECORD)
            finally:
                self._deadline = float("inf")
            now = time.monotonic()
            if self._too_slow or (block and clock.is_slow(len(block), now - since)):
                raise FetchError("comes too slowly", "see whether the server is well", passing=True)
            if not block:
                return
            if fast:
                fast, burst, begun = now - since < GATHER_SECONDS, 0, now
            else:
                burst += len(block)
                fast = burst >= BLOCK
                if now - begun > GATHER_SECONDS:
                    burst, begun = 0, now
            yield block


class _Clock:
    """Whether bytes come so slowly that nobody wants to wait for the end; time that isn't spent waiting is no matter"""

    def __init__(self, seconds: float) -> None:
        self._window = seconds
        self._size = 0
        self._seconds = 0.0

    def is_slow(self, size: int, seconds: float) -> bool:
        """More bytes came, and were waited for as long as that"""
        self._size += size
        self._seconds += seconds
        if self._seconds < self._window:
            return False
        slow = self._size < RATE_MIN * self._seconds
        self._size, self._seconds = 0, 0.0
        return slow
