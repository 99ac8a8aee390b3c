"""A download that somebody, of this process or another, writes into the cache: read while it grows"""

from __future__ import annotations

import enum
import os
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from helper_host.image.cache import locks, objects, records
from helper_host.image.cache.folder import PARTS, Folder, unusable
from helper_host.image.cache.leader import Leader
from helper_host.image.cache.records import State
from helper_host.image.cache.rest import rest
from helper_host.image.cache.room import Full
from helper_host.image.cache.spool import no_room
from helper_host.image.cache.wanted import Wanted
from helper_host.image.content import PIECE, Content, Piece, Progress, interrupted
from helper_host.image.formats.base import read_into

POLL_SECONDS = 0.01
"""How often the file is looked at that another process writes: at 1 GB/s that are 10 MB, a tenth of a second's work."""
IDLE_SECONDS = 0.1
"""After so long without bytes it is asked whether somebody writes them."""
STUCK_SECONDS = 300.0
"""After so long whoever writes them has stopped or hangs: everybody goes on by himself."""
HANGS = "another process that fetches it hangs"
PROGRESS_SECONDS = 0.1
NEVER = threading.Event()


class Stands(enum.Enum):
    """How it stands with a part file"""

    MORE = enum.auto()
    """It has bytes behind the position."""
    COMPLETE = enum.auto()
    """It ends there."""
    GIVEN_UP = enum.auto()
    """Nothing more will come, and this is not all."""
    WAITING = enum.auto()


class Following(Content):
    """The bytes of a part file that grows; takes the descriptor over

    Args:
        state: how the download stood when the file was opened
        leader: if it is of this process; ended with this
        since: when it was begun to look for the URL; a failure after that is ours too
        again: opens the URL anew, for when these bytes were given up and none was used
    """

    def __init__(
        self,
        folder: Folder,
        key: str,
        fd: int,
        wanted: Wanted,
        *,
        state: State,
        leader: Leader | None,
        since: float,
        again: Callable[[], Content],
    ) -> None:
        self._folder, self._key, self._fd, self._wanted = folder, key, fd, wanted
        self._state, self._leader, self._since, self._again = state, leader, since, again
        self.name, self.file_name = wanted.shown, wanted.file_name
        status = os.fstat(fd)
        if stat.S_IMODE(status.st_mode) == objects.COMPLETE:
            self.size = status.st_size
        else:
            self.size = state.size if state.size >= 0 else None
        self._given = b""
        """The longest head that was given out."""
        self._inner: Content | None = None
        """What takes our place, once these bytes were given up."""
        self._interrupted = False
        self._last_size = -1
        self._moved = self._asked = time.monotonic()
        """When the file was seen to have become larger, and when it was asked whether anybody writes it."""

    def peek(self, length: int) -> bytes:
        if self._inner is None:
            stands = self._wait(length - 1, NEVER)
            if stands is not Stands.GIVEN_UP:
                head = os.pread(self._fd, length, 0)
                self._given = max(self._given, head, key=len)
                return head
            self._open_again()
        assert self._inner is not None
        return self._inner.peek(length)

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        if self._inner is None:
            position = yield from self._follow(cancel)
            if position is None:
                return
            if position:
                yield from self._rest(position, cancel)
                return
            self._open_again()
        assert self._inner is not None
        yield from self._inner.pieces(cancel)

    def whole(self, progress: Progress, cancel: threading.Event) -> int:
        while self._inner is None:
            size = os.fstat(self._fd).st_size
            progress(size, self.size or 0)
            stands = self._wait(size, cancel, PROGRESS_SECONDS)
            if stands is Stands.COMPLETE:
                self.size = os.fstat(self._fd).st_size
                return self._fd
            if stands is Stands.GIVEN_UP:
                self._open_again()
            elif not cancel.wait(PROGRESS_SECONDS):
                continue
        fd = self._inner.whole(progress, cancel)
        self.size = self._inner.size
        return fd

    def close(self) -> None:
        if self._leader is not None:
            self._leader.stop(at_once=self._interrupted)
            self._leader = None
        if self._inner is not None:
            self._inner.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- what the file has ------------------------------------------------------------------------------------------

    def _follow(self, cancel: threading.Event) -> Generator[Piece, None, int | None]:
        """The bytes as they come; returns where they were given up, None at the end"""
        buffer = memoryview(bytearray(PIECE))
        position = 0
        while (stands := self._wait(position, cancel)) is Stands.MORE:
            try:
                count = read_into(self._fd, buffer, position)
            except OSError as error:
                raise unusable(self._folder.path, error) from None
            yield buffer[:count]
            position += count
        return position if stands is Stands.GIVEN_UP else None

    def _rest(self, position: int, cancel: threading.Event) -> Iterator[Piece]:
        """From the server alone: the cache has no room for more, or the one who writes hangs"""
        why = self._why_full()
        if why and not self._state.validators.for_range():
            raise no_room(self.name, Full(why))
        self._wanted.places.warn(f"{self.name} is not kept in the cache: {why or HANGS}")
        with closing(rest(self._wanted, position, self._state.validators, cancel)) as blocks:
            yield from blocks

    def _wait(self, position: int, cancel: threading.Event, seconds: float = float("inf")) -> Stands:
        """Until there is a byte at `position`, or it is known that there will be none, or `seconds` are over"""
        began = time.monotonic()
        while True:
            # the mode first: what is complete has its size
            is_complete = stat.S_IMODE(os.fstat(self._fd).st_mode) == objects.COMPLETE
            status = os.fstat(self._fd)
            now = time.monotonic()
            if status.st_size != self._last_size:
                self._last_size = status.st_size
                self._moved = self._asked = now
            if status.st_size > position:
                return Stands.MORE
            if is_complete:
                return Stands.COMPLETE
            if not status.st_nlink or now - self._moved > STUCK_SECONDS:
                return Stands.GIVEN_UP
            if cancel.is_set():
                self._interrupted = True
                raise interrupted()
            if now - began > seconds:
                return Stands.WAITING
            if self._leader is not None and self._leader.alive:
                self._leader.wait(IDLE_SECONDS)
            elif self._leader is not None or now - self._asked >= IDLE_SECONDS:
                self._asked = now
                self._take_over()
            else:
                time.sleep(POLL_SECONDS)

    def _take_over(self) -> None:
        """Go on with the download if nobody does; E-IMAGE-FETCH if it failed for good"""
        if self._leader is not None:
            error, state = self._leader.error, self._leader.state
            self._leader = None
            if error is not None:
                raise error
            self._check_failed(state)
        path = self._folder.at(PARTS, f"{self._key}.lock")
        try:
            lock = locks.try_lock(path)
        except OSError as error:
            raise unusable(self._folder.path, error) from None
        if lock is None:
            return
        try:
            status = os.fstat(self._fd)
            found = records.load_state(self._folder, self._key)
            if found is not None:
                self._check_failed(found)
            if status.st_nlink and stat.S_IMODE(status.st_mode) != objects.COMPLETE:
                self._leader = Leader(self._folder, self._key, lock, self._wanted, None)
        finally:
            if self._leader is None:
                locks.release(path, lock)

    def _check_failed(self, state: State) -> None:
        if state.phase == records.FAILED and state.when >= self._since:
            raise self._wanted.failed(state.cause, state.remedy)

    def _why_full(self) -> str:
        """Why the cache can't have it; "": it can"""
        state = self._leader.state if self._leader is not None else records.load_state(self._folder, self._key)
        return state.cause if state is not None and state.phase == records.FULL else ""

    def _open_again(self) -> None:
        """Another file is in our place: no matter, as long as nobody has used a byte that is different there"""
        if self._leader is not None and self._leader.error is not None:
            raise self._leader.error
        why = self._why_full() or (HANGS if os.fstat(self._fd).st_nlink else "")
        inner = self._wanted.direct(why) if why else self._again()
        try:
            if inner.peek(len(self._given)) != self._given:
                raise self._wanted.replaced()
        except BaseException:
            inner.close()
            raise
        self._inner, self.size = inner, inner.size
