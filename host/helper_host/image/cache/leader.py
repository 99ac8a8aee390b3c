"""The one process that fetches a URL: bytes go into a file that grows, and that everybody else reads meanwhile

Whoever holds the key's lock leads. What it knows is written to the state file, what it has to the part file, so that
whoever comes after it, should it die, goes on where it stopped. The part file's own status says how it stands, for all
who have it open: mode 0600 it grows, 0400 all is there, without a name and 0600 nothing more will come.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from helper_host.image import kernel
from helper_host.image.cache import locks, objects, records
from helper_host.image.cache.folder import OBJECTS, PARTS, Folder
from helper_host.image.cache.records import Reference, State
from helper_host.image.cache.room import STEP, Full, Room
from helper_host.image.cache.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from helper_host.transfer import Facts, Transfer

WRITEBACK = 8 << 20
"""Bytes after which the disk is asked to begin with them, so that little is left for the fsync at the end."""
COMMIT_SECONDS = 30.0
"""How long the end of a deployment waits for that fsync; what isn't there by then is made complete by the next one."""
STOP_SECONDS = 2.0
CHANGES_MAX = 3
"""Times that a file may be another one all of a sudden."""


class Leader:
    """A download under the key's lock, in a thread of its own

    Args:
        lock: of the key; given up at the end
        reference: what the URL had, of which the object is there; None: all is fetched
    """

    def __init__(self, folder: Folder, key: str, lock: int, wanted: Wanted, reference: Reference | None) -> None:
        self._folder, self._key, self._lock, self._wanted = folder, key, lock, wanted
        self._reference = reference
        self._room = Room(folder, wanted.places.cache.size)
        self._cancel = threading.Event()
        self._ending = False
        """All bytes are there: whoever reads them may be gone before they are an object."""
        self._part = _Part(folder, key, self._room, self._grown)
        self.changed = threading.Condition()
        """Notified with each block, and when anything else happens."""
        self.state = State(records.ASKING, wanted.shown)
        self.reader = -1
        """For who leads: the part file, whatever becomes of its name. It belongs to who takes it."""
        self.error: BaseException | None = None
        """A defect of ours."""
        self.alive = True
        self._thread = threading.Thread(target=self._run, name="cache", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Until something happens, at most so long"""
        with self.changed:
            if self.alive:
                self.changed.wait(seconds)

    def answered(self) -> State:
        """How it stands once the server has answered, or can't be asked"""
        with self.changed:
            while self.alive and self.state.phase == records.ASKING:
                self.changed.wait(0.2)
            return self.state

    def take_reader(self) -> int:
        """The part file's descriptor; -1: nothing has come"""
        with self.changed:
            fd, self.reader = self.reader, -1
            return fd

    def stop(self, *, at_once: bool = False) -> None:
        """Nobody of this process waits for it any more: what isn't complete is left to others"""
        if self._ending and not at_once:
            self._thread.join(COMMIT_SECONDS)
        self._cancel.set()
        self._thread.join(STOP_SECONDS)
        fd = self.take_reader()
        if fd >= 0:
            os.close(fd)

    # --- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        from helper_host.transfer import FetchError

        try:
            self._fetch()
        except FetchError as error:
            self._fail(error.cause, error.remedy)
        except Full as error:
            self._give_up(str(error))
        except OSError as error:
            self._give_up(f"{self._folder.path}: {error.strerror}")
        except BaseException as error:
            if not self._cancel.is_set():
                self.error = error
        finally:
            with suppress(OSError):
                self._part.close()
            with suppress(OSError):
                locks.release(self._folder.at(PARTS, f"{self._key}.lock"), self._lock)
            with self.changed:
                self.alive = False
                self.changed.notify_all()

    def _fetch(self) -> None:
        from helper_host.transfer import Changed, FetchError

        before = records.load_state(self._folder, self._key)
        if before is not None and before.generation:
            self._recover(before)
        _sweep(self._folder, self._key, self._part.name)
        for _ in range(CHANGES_MAX):
            try:
                with self._wanted.transfer(self._cancel) as transfer:
                    self._receive(transfer, self._ask(transfer))
                return
            except Changed:
                # others than those whose first bytes are there; whoever has read some of them has to fail
                self._part.drop()
        raise FetchError("changes while it is fetched", "try again when it is complete on its server")

    def _ask(self, transfer: Transfer) -> Facts:
        """The rest of what is there, or all"""
        part = self._part
        if part.fd < 0 or not self.state.validators.for_range():
            return self._begin(transfer)
        facts = transfer.open(position=part.position, validators=self.state.validators)
        self._put(self.state._replace(size=-1 if facts.size is None else facts.size))
        self._let_in()
        return facts

    def _begin(self, transfer: Transfer) -> Facts:
        """From the first byte on, if the reference isn't right any more"""
        reference = self._reference
        condition = reference.validators if reference is not None else None
        facts = transfer.open(condition=condition if condition and any(condition) else None)
        if facts.not_modified:
            return facts
        size = -1 if facts.size is None else facts.size
        if self._part.fd >= 0:
            # a server that names no state of its file: what comes is compared with what came before
            self._part.compare()
        else:
            self._part.create(max(size, 0))
        self._put(
            State(
                records.ASKING,
                facts.shown,
                generation=self._part.generation,
                size=size,
                etag=facts.validators.etag,
                last_modified=facts.validators.last_modified,
            )
        )
        self._let_in()
        return facts

    def _receive(self, transfer: Transfer, facts: Facts) -> None:
        from helper_host.transfer import FetchError

        if facts.not_modified:
            assert self._reference is not None
            records.save_reference(self._folder, self._key, self._reference._replace(checked=time.time()))
            self._put(State(records.CURRENT, facts.shown))
            return
        part = self._part
        for block in transfer.blocks():
            part.add(block)
            self._let_in()
        if facts.size not in (None, part.position):
            raise FetchError(f"ended after {part.position} of {facts.size} bytes", "see whether the server is well")
        part.cut()
        self._let_in()
        self._ending = True
        part.complete()
        self._put(self.state._replace(phase=records.ENDED, size=part.position, sha256=part.sha256()))
        self._commit(time.time())

    def _let_in(self) -> None:
        """Bytes may be used from now on, as soon as they are known to be the server's"""
        if self.state.phase == records.ASKING and not self._part.is_comparing:
            self._offer()
            self._put(self.state._replace(phase=records.RUNNING, generation=self._part.generation))

    def _commit(self, checked: float) -> None:
        """All bytes are there, in a file whose mode says so"""
        state, part = self.state, self._part
        if self._wanted.integrity.sha256 not in ("", state.sha256):
            # whoever reads it already judges for himself
            part.drop()
            self._put(State(records.DROPPED, state.shown))
            return
        os.fsync(part.fd)
        if not os.path.exists(self._folder.at(PARTS, part.name)):
            return  # removed under our hands: somebody has emptied the folder
        objects.keep(self._folder, f"{PARTS}/{part.name}", state.sha256)
        self._refer(state, checked)

    def _refer(self, state: State, checked: float) -> None:
        reference = Reference(state.shown, state.sha256, state.size, state.etag, state.last_modified, checked)
        records.save_reference(self._folder, self._key, reference)
        self._put(State(records.CURRENT, state.shown, sha256=state.sha256))

    # --- after somebody else ----------------------------------------------------------------------------------------

    def _recover(self, before: State) -> None:
        """Take up what a process has left that was killed, or that had to end"""
        part = self._part
        if not part.open(before.generation):
            if before.sha256 and os.path.exists(self._folder.at(OBJECTS, before.sha256)):
                self._adopt(before)
            return
        self.state = before._replace(phase=records.ASKING)
        if part.position == before.size or part.is_complete:
            self._ending = True
            part.complete()
            self._put(before._replace(phase=records.ENDED, size=part.position, sha256=part.sha256()))
            self._commit(0.0)
            self._ending = False
            part.close()
            if self.state.phase == records.CURRENT:
                self._reference = records.load_reference(self._folder, self._key)
            self._put(State(records.ASKING, self._wanted.shown))
        else:
            self._put(before._replace(phase=records.ASKING))

    def _adopt(self, before: State) -> None:
        """It was killed between making an object and saying of what"""
        self._refer(before, 0.0)
        self._reference = records.load_reference(self._folder, self._key)
        self._put(State(records.ASKING, self._wanted.shown))

    # --- telling ----------------------------------------------------------------------------------------------------

    def _grown(self) -> None:
        if self._cancel.is_set() and not self._ending:
            raise _Stop
        with self.changed:
            self.changed.notify_all()

    def _offer(self) -> None:
        fd = objects.open_used(self._folder.at(PARTS, self._part.name))
        with self.changed:
            before, self.reader = self.reader, -1 if fd is None else fd
        if before >= 0:
            os.close(before)

    def _put(self, state: State) -> None:
        records.save_state(self._folder, self._key, state)
        with self.changed:
            self.state = state
            self.changed.notify_all()

    def _fail(self, cause: str, remedy: str) -> None:
        """The server can't be had: so it is for all who wait. The bytes stay, for another time"""
        with suppress(OSError):
            self._put(self.state._replace(phase=records.FAILED, cause=cause, remedy=remedy))

    def _give_up(self, why: str) -> None:
        """The cache can't have it: everybody goes on by himself"""
        state = State(records.FULL, self._wanted.shown, cause=why)
        with suppress(OSError):
            self._put(state)
        with self.changed:
            self.state = state
            self.changed.notify_all()
        with suppress(OSError):
            self._part.drop()


class _Stop(Exception):
    """The leader's own deployment is over"""


class _Part:
    """The file with the bytes so far"""

    def __init__(self, folder: Folder, key: str, room: Room, grown: Callable[[], None]) -> None:
        self._folder, self._key, self._room, self._grown = folder, key, room, grown
        self.generation = ""
        self.fd = -1
        self.position = 0
        """Bytes that came, from the server or from an earlier process."""
        self._reserved = 0
        self._written_back = 0
        self._old = 0
        """Bytes that are there, and have to come once more to be compared."""
        self._hash: Any = None

    @property
    def name(self) -> str:
        """Its name among the parts; "" while there is none"""
        return f"{self._key}.{self.generation}.part" if self.generation else ""

    @property
    def is_complete(self) -> bool:
        """Whether its mode says so"""
        return os.fstat(self.fd).st_mode & 0o777 == objects.COMPLETE

    def open(self, generation: str) -> bool:
        """What is there of an earlier process; whether there is anything"""
        self.generation = generation
        fd = objects.open_used(self._folder.at(PARTS, self.name))
        if fd is None:
            self.generation = ""
            return False
        self.fd = fd
        if not self.is_complete:
            self.fd = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
            os.close(fd)
        self.position = self._reserved = os.lseek(self.fd, 0, os.SEEK_END)
        self._hash = objects.hashed(self.fd, self.position)
        return True

    def compare(self) -> None:
        """All bytes come once more, and must be those that are there"""
        import hashlib

        self._old, self.position, self._hash = self.position, 0, hashlib.sha256()

    def create(self, size: int) -> None:
        """A new one, for `size` bytes; 0: nobody knows

        Raises:
            Full
            OSError
        """
        import hashlib

        self.close()
        self.generation = secrets.token_hex(8)
        path = self._folder.at(PARTS, self.name)
        self.fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, objects.GROWING)
        self.position = self._old = self._reserved = self._written_back = 0
        self._hash = hashlib.sha256()
        if size:
            self._reserved = self._room.reserve(self.fd, 0, size)

    @property
    def is_comparing(self) -> bool:
        """Whether there are bytes that the server has not sent once more yet"""
        return self.position < self._old

    def add(self, block: bytes) -> None:
        """More bytes"""
        part = memoryview(block)
        if self.is_comparing:
            again = part[: self._old - self.position]
            if os.pread(self.fd, len(again), self.position) == again:
                self._hash.update(again)
                self.position += len(again)
                part = part[len(again) :]
            else:
                self._start_over()
        if part:
            self._write(part)
        self._grown()

    def _write(self, part: memoryview) -> None:
        if self.position + len(part) > self._reserved:
            self._reserved = self._room.reserve(self.fd, self.position, len(part), ahead=STEP)
        self._room.write(self.fd, part)
        self._hash.update(part)
        self.position += len(part)
        if self.position - self._written_back >= WRITEBACK:
            kernel.start_writeback(self.fd, self._written_back, self.position - self._written_back)
            self._written_back = self.position

    def _start_over(self) -> None:
        """A new file with as many bytes as were the same"""
        old, same = self.fd, self.position
        old_name = self.name
        self.fd = -1
        try:
            self.create(0)
            while self.position < same:
                self._write(memoryview(os.pread(old, min(1 << 20, same - self.position), self.position)))
            os.unlink(self._folder.at(PARTS, old_name))
        finally:
            os.close(old)

    def sha256(self) -> str:
        """Of the bytes so far"""
        return str(self._hash.hexdigest())

    def cut(self) -> None:
        """There is nothing more"""
        if self.is_comparing:
            self._start_over()

    def complete(self) -> None:
        """Whoever follows it may know now; what was set aside for more is given back"""
        if self.is_complete:
            return
        os.ftruncate(self.fd, self.position)
        os.fchmod(self.fd, objects.COMPLETE)
        self._grown()

    def drop(self) -> None:
        """Nothing more will come"""
        if self.generation:
            with suppress(FileNotFoundError):
                os.unlink(self._folder.at(PARTS, self.name))
        self.close()

    def close(self) -> None:
        """Leave it to others; harmless when repeated"""
        self.generation = ""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _sweep(folder: Folder, key: str, but: str) -> None:
    """Remove the files of this key that no state speaks of"""
    for name in folder.names(PARTS):
        if name.startswith(f"{key}.") and name.endswith(".part") and name != but:
            with suppress(FileNotFoundError):
                os.unlink(folder.at(PARTS, name))
