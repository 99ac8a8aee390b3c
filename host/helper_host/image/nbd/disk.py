"""A disk that only has a URI, as a `Disk`"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator

from helper_host.errors import ProviderError
from helper_host.image.disk import Disk
from helper_host.image.nbd.broker import QUIT_SECONDS, Broker
from helper_host.image.nbd.client import SILENCE_SECONDS, Connection
from helper_host.image.nbd.uri import Volume
from helper_host.vm.drive import Attachment, Kind

CLEAR_STEP = 256 << 20
"""Bytes cleared at once; a signal is noticed in between."""
SETTLE_SECONDS = 0.5
"""What a broker that was killed had sent last may still be on its way to the storage."""
BRIEF_SECONDS = 2.0
"""A broker whose storage doesn't answer gets no longer to close it."""


class NbdDisk(Disk):
    """A disk behind a broker: writes are answered later, several at once, and `sync` waits for all"""

    def __init__(self, volume: Volume, size: int, *, writable: bool, confined: bool, silence: float) -> None:
        super().__init__(volume.shown, size)
        self._volume = volume
        self._writable = writable
        self._confined = confined
        self._silence = silence
        self._begin()

    def close(self) -> None:
        """Give the disk up; harmless when repeated"""
        if self._owner == os.getpid():
            self._give_up()

    def is_empty(self) -> bool:
        """Nobody knows"""
        return False

    def write(self, data: memoryview | bytes, offset: int) -> None:
        """Send all of `data`"""
        self._connection.write(memoryview(data), offset)

    def zero(self, offset: int, length: int) -> None:
        """Let the storage zero the range as it can"""
        self._connection.zero(offset, length)

    def clear(self, length: int, check: Callable[[], None]) -> bool:
        """Make the first `length` bytes zeros if the storage has a quick way"""
        for offset in range(0, length, CLEAR_STEP):
            check()
            if not self._connection.zero(offset, min(CLEAR_STEP, length - offset), fast=True):
                return False
        return True

    def pieces(self, step: int) -> Iterator[memoryview]:
        """The whole disk in pieces of `step` bytes, each good until the next is asked for

        Raises:
            ProviderError: E-DISK-IO
        """
        try:
            yield from self._connection.read(self.size, step)
        except OSError as error:
            raise self._failure("read", error) from None

    def sync(self) -> None:
        """Wait until everything is on stable storage, what the helper VM has written too"""
        self._connection.flush()

    def attach(self) -> Attachment:
        """A connection of its own"""
        return Attachment(self._broker.connect().detach(), Kind.NBD, not self._writable)

    def failure(self, error: OSError) -> ProviderError:
        """E-DISK-IO that says what to do about `error`"""
        if error.errno == errno.ENOSPC:
            return ProviderError("E-DISK-IO", f"The storage behind {self.name} is full", "make room in its pool")
        return self._failure("written", error)

    def _failure(self, done: str, error: OSError) -> ProviderError:
        said = self._broker.last_words()
        return ProviderError(
            "E-DISK-IO",
            f"The disk {self.name} could not be {done} ({error.strerror}{f': {said}' if said else ''})",
            "look at its server and at the network to it",
        )

    def start_writeback(self) -> None:
        """The storage writes when it likes"""

    def share(self, source: int, offset: int, length: int) -> None:
        """No block of it is any file's"""
        del source, offset, length
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def interrupt(self) -> None:
        """Let no other thread wait for the storage any longer"""
        self._connection.interrupt()

    def revive(self) -> None:
        """Begin anew with another broker; call from the main thread

        In any case, and not only where the connection broke: the old broker may still have writes of ours or of the
        helper VM in hand, which must not come after what is written next. It ends when it has done them.

        Raises:
            ProviderError: E-DISK-IO
        """
        if self._owner == os.getpid():
            settled = self._give_up()
        else:
            # in a forked process: the two would take each other's answers
            self._broker.kill_inherited()
            settled = False
        if not settled:
            time.sleep(SETTLE_SECONDS)
        self._begin()

    def _give_up(self) -> bool:
        """Close everything; whether the broker had nothing left to do"""
        patience = BRIEF_SECONDS if self._connection.broken else QUIT_SECONDS
        self._connection.close()
        return self._broker.close(patience)

    def _begin(self) -> None:
        self._owner = os.getpid()
        self._broker = Broker(self._volume, writable=self._writable, confined=self._confined)
        try:
            self._connection = Connection(self._broker.connect(), self._silence)
        except OSError as error:
            raise self._given_up(f"can't be opened ({error.strerror})") from None
        self.size = self.size or self._connection.size
        if self._connection.size < self.size:
            self._connection.close()
            raise self._given_up(f"has {self._connection.size} bytes and Ganeti says {self.size}")

    def _given_up(self, how: str) -> ProviderError:
        self._broker.close(BRIEF_SECONDS)
        return ProviderError("E-DISK-IO", f"The disk {self.name} {how}", "look at it with gnt-instance info")


def open_volume(
    volume: Volume, size: int, *, writable: bool = True, confined: bool = True, silence: float = SILENCE_SECONDS
) -> NbdDisk:
    """Open a disk that has a URI only, and of which Ganeti says that it has `size` bytes (0: it doesn't say)

    Whether an instance runs from it can't be seen here: the storage itself may refuse a second writer, or not.

    Args:
        confined: False only in tests without root
        silence: seconds after which a storage that does nothing is taken for dead

    Raises:
        ProviderError: E-DISK-IO when it can't be opened or is smaller, E-NODE when there is no broker to be had
    """
    return NbdDisk(volume, size, writable=writable, confined=confined, silence=silence)
