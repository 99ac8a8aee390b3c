"""Bytes through a confined child that unpacks them

A thread feeds the child, whoever iterates takes from it: fetching, unpacking and what is done with the plain bytes all
happen at once, in the memory of a pipe and a ring of pieces, see `ring`. What the child says is never believed further
than its bytes: a child that hostile bytes own can give no more than some other image, or end.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

from helper_host import confine, seccomp
from helper_host.errors import ProviderError
from helper_host.image.compressions import Compression, program
from helper_host.image.compressions.base import PIECE, RECORD_HEADER, ZEROS_FLAG
from helper_host.image.content import Piece, interrupted
from helper_host.image.ring import SIZE, Ring

PIPE = 1 << 20
"""Bytes of a pipe: what an unprivileged user may have, which is more than enough to keep both ends busy."""
SAID = 64 * RECORD_HEADER
"""Bytes of records that are read at once."""
POLL = 100
"""Milliseconds after which somebody who waits looks whether to go on."""
JOIN_SECONDS = 30.0
CPU_SECONDS = 12 * 3600
"""A TiB of xz takes some four hours; what never ends otherwise has the deployment's own clock."""
MEMORY_BASE = 128 << 20
"""Address space of Python with its libraries, and its buffers."""
ZEROS = bytes(PIECE)
"""A piece of zeros is this very object: nobody needs to look for them in it."""
UNTRUSTED = "use one from a source you trust"

Feed = Callable[[threading.Event], Iterator[Piece]]
"""Gives the packed bytes, until the event is set."""
Problem = Callable[[str, str], ProviderError]
"""Makes an error of a cause and a remedy."""


class Cancel(Protocol):
    """A `threading.Event`, or something like it"""

    def is_set(self) -> bool:
        """Whether to go on no longer"""
        ...


class Child:
    """The process; close it"""

    def __init__(self, compression: Compression) -> None:
        """
        Raises:
            ProviderError: E-NODE
        """
        self.name = compression.name
        self.lends = False
        """Whoever takes a piece says himself when its slot is free again."""
        try:
            self.ring = Ring()
        except OSError as error:
            raise ProviderError(
                "E-NODE", f"There is no memory to unpack into: {error.strerror}", "see what the node lacks"
            ) from None
        inside, self.writer = os.pipe2(os.O_CLOEXEC)
        self.reader, outside = os.pipe2(os.O_CLOEXEC)
        credits_end, self._credits = os.pipe2(os.O_CLOEXEC)
        self._lock = threading.Lock()
        try:
            for end in (self.writer, self.reader, self._credits):
                os.set_blocking(end, False)
            try:
                fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE)
            except OSError:
                pass  # a smaller one does, more slowly
            self._popen, self._status = confine.spawn(
                program.__file__,
                _order(compression, credits_end, self.ring.fd),
                stdin=inside,
                stdout=outside,
                stderr=subprocess.DEVNULL,
                pass_fds=(credits_end, self.ring.fd),
            )
        except BaseException:
            self.stop_feeding()
            os.close(self.reader)
            os.close(self._credits)
            raise
        finally:
            self.ring.close()
            for end in (inside, outside, credits_end):
                os.close(end)

    @property
    def pid(self) -> int:
        """Of the process"""
        return self._popen.pid

    def feed(self, data: Piece, stop: threading.Event) -> bool:
        """All of `data`; False: the child takes no more, or `stop` was set"""
        view = memoryview(data)
        while view:
            if stop.is_set():
                return False
            try:
                view = view[os.write(self.writer, view) :]
            except BlockingIOError:
                _wait(self.writer, select.POLLOUT)
            except BrokenPipeError:
                return False
        return True

    def stop_feeding(self) -> None:
        """The packed bytes end here; for the thread that feeds"""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def words(self, cancel: Cancel) -> Iterator[int]:
        """What it says, until it ends

        Raises:
            ProviderError: E-INTERRUPTED
        """
        said = b""
        while True:
            if cancel.is_set():
                raise interrupted()
            try:
                more = os.read(self.reader, SAID)
            except BlockingIOError:
                _wait(self.reader, select.POLLIN)
                continue
            if not more:
                return
            said += more
            while len(said) >= RECORD_HEADER:
                yield int.from_bytes(said[:RECORD_HEADER], "little")
                said = said[RECORD_HEADER:]

    def give_back(self) -> None:
        """The slot that was filled first is free again; from any thread"""
        with self._lock:
            if self._credits >= 0:
                # it has ended, or doesn't care which slots are free
                with contextlib.suppress(BrokenPipeError, BlockingIOError):
                    os.write(self._credits, b"\0")

    def finish(self, cancel: Cancel) -> int:
        """Wait for the end of a child that gives no more bytes; its exit code as Popen has it

        Raises:
            ProviderError: E-INTERRUPTED, E-NODE when it never began
        """
        code: int | None = None
        while code is None:
            if cancel.is_set():
                raise interrupted()
            try:
                code = self._popen.wait(POLL / 1000)
            except subprocess.TimeoutExpired:
                pass
        if code == program.NO_JAIL:
            said, self._status = confine.told(self._status), -1
            raise confine.failed(f"What unpacks {self.name}", said or "no reason given")
        return code

    def discard(self) -> None:
        """Close one that nobody has fed; harmless when repeated"""
        self.stop_feeding()
        self.close()

    def close(self) -> None:
        """End it; the thread that feeds has ended or is to be joined after this"""
        confine.end(self._popen)
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1
        with self._lock:
            if self._credits >= 0:
                os.close(self._credits)
                self._credits = -1
        if self._status >= 0:
            os.close(self._status)
            self._status = -1


def unpacked(
    feed: Feed,
    compression: Compression,
    cancel: Cancel,
    problem: Problem,
    *,
    child: Child | None = None,
    watch: Callable[[int], None] = lambda _pid: None,
) -> Generator[memoryview | bytes]:
    """The plain bytes, in pieces of `PIECE` and a last shorter one, of the child's memory; or `ZEROS`

    It ends well only if `feed` did, to its end, and the child has unpacked all of it and found nothing wrong. Whoever
    stops before closes the iterator.

    Args:
        problem: makes the errors of packed bytes that are no good
        child: one for `compression` that was started before; it is taken over
        watch: gets the child's process id

    Raises:
        ProviderError: what `feed` raises; `problem`; E-INTERRUPTED; E-NODE
    """
    stop, all_fed = threading.Event(), threading.Event()
    errors: list[BaseException] = []
    child = child or Child(compression)

    def work() -> None:
        try:
            for piece in feed(stop):
                # nothing is told to the child that has ended, and the rest isn't fetched
                if not child.feed(piece, stop):
                    return
            all_fed.set()
        except BaseException as error:
            errors.append(error)
        finally:
            child.stop_feeding()

    thread = threading.Thread(target=work, name=f"feed {compression.name}", daemon=True)
    try:
        watch(child.pid)
        thread.start()
        last: memoryview | bytes = b""
        for piece in _pieces(child, cancel, problem):
            if errors:
                break
            if len(piece) == PIECE:
                yield piece
            else:
                last = piece
        # an error of the feed is there before its child can have come to an end
        if not errors:
            code = child.finish(cancel)
            if code:
                raise _failed(compression.name, code, problem)
            _join(thread, cancel)
        if errors:
            raise errors[0]
        if not all_fed.is_set():
            # it has to read to the end: what follows would be neither unpacked nor checked
            raise problem(f"{compression.name} data can't be unpacked: what unpacks it ended by itself", UNTRUSTED)
        # only now, so that what comes last comes from a file that is all right
        if last:
            yield last
    finally:
        stop.set()
        child.close()
        if thread.ident is None:
            child.stop_feeding()
        else:
            thread.join(JOIN_SECONDS)


def _pieces(child: Child, cancel: Cancel, problem: Problem) -> Generator[memoryview | bytes]:
    """What the child says, until it ends; all of `PIECE` bytes but for the last"""
    count, slot = PIECE, 0
    for word in child.words(cancel):
        if count < PIECE or not 0 < word & ~ZEROS_FLAG <= PIECE:
            raise problem(f"{child.name} data can't be unpacked: what unpacks it talks nonsense", UNTRUSTED)
        count = word & ~ZEROS_FLAG
        if word & ZEROS_FLAG:
            yield ZEROS if count == PIECE else ZEROS[:count]
            continue
        yield child.ring.slot(slot)[:count]
        slot += 1
        if not child.lends:
            child.give_back()


def _order(compression: Compression, credits_end: int, ring: int) -> dict[str, object]:
    # only root can build a jail, and only root's process needs one: without it this is somebody's test
    jailed = os.geteuid() == 0
    memory = MEMORY_BASE + SIZE + compression.memory
    jail = {
        "argv": [],
        "descriptors": [credits_end],
        "limits": confine.limits(CPU_SECONDS, memory, confine=jailed),
        "parent": os.getpid(),
        "confine": jailed,
        "uid": 0,
        "binds": [],
        "links": {},
        "kvm": False,
        "cgroup": "",
        "syscalls": seccomp.program(seccomp.COMPUTE.values()).hex(),
    }
    return {"jail": jail, "compression": compression.name, "path": _path(compression), "ring": ring}


def _path(compression: Compression) -> list[str]:
    """Where the library is, which Python doesn't find on its own where it runs isolated"""
    if not compression.library:
        return []
    from importlib.util import find_spec

    found = find_spec(compression.library)
    if found is None or found.origin is None:
        raise ProviderError(
            "E-NODE",
            f"The image is compressed with {compression.name} and python's {compression.library} is missing",
            "install it",
        )
    return [os.path.dirname(os.path.dirname(found.origin))]


def _failed(name: str, code: int, problem: Problem) -> ProviderError:
    said = {
        program.DAMAGED: (f"{name} data is damaged, or followed by something else", "look whether it is complete"),
        program.TRUNCATED: (f"{name} data ends early", "look whether it is complete"),
        program.TOO_LARGE: (f"{name} data takes too much memory to unpack", "pack it with a smaller window"),
    }
    if code == -signal.SIGKILL:
        return ProviderError(
            "E-NODE", f"What unpacks {name} was killed", "see whether the node ran out of memory (dmesg), and retry"
        )
    if code in said:
        return problem(*said[code])
    return problem(f"{name} data can't be unpacked: {confine.how_it_ended(code)}", UNTRUSTED)


def _wait(fd: int, event: int) -> None:
    poll = select.poll()
    poll.register(fd, event)
    poll.poll(POLL)


def _join(thread: threading.Thread, cancel: Cancel) -> None:
    while thread.is_alive():
        if cancel.is_set():
            raise interrupted()
        thread.join(POLL / 1000)
