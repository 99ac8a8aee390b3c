"""Bytes through a confined child that unpacks them

A thread feeds the child, whoever iterates takes from it: fetching, unpacking and what is done with the plain bytes all
happen at once, in the memory of two pipes and one piece. What the child says is never believed further than its bytes:
a child that hostile bytes own can give no more than some other image, or end.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator

from helper_host import confine, seccomp
from helper_host.errors import ProviderError
from helper_host.image.compressions import Compression, program
from helper_host.image.compressions.base import PIECE, RECORD_HEADER, ZEROS_FLAG
from helper_host.image.content import Piece, interrupted

PIPE = 1 << 20
"""Bytes of a pipe: what an unprivileged user may have, which is more than enough to keep both ends busy."""
POLL = 100
"""Milliseconds after which somebody who waits looks whether to go on."""
JOIN_SECONDS = 30.0
CPU_SECONDS = 12 * 3600
"""A TiB of xz takes some four hours; what never ends otherwise has the deployment's own clock."""
CPU_SECONDS_HEAD = 20
MEMORY_BASE = 128 << 20
"""Address space of Python with its libraries, and its buffers."""
ZEROS = bytes(PIECE)
"""A piece of zeros is this very object: nobody needs to look for them in it."""
UNTRUSTED = "use one from a source you trust"

Feed = Callable[[threading.Event], Iterator[Piece]]
"""Gives the packed bytes, until the event is set."""
Problem = Callable[[str, str], ProviderError]
"""Makes an error of a cause and a remedy."""


class Child:
    """The process; close it"""

    def __init__(self, compression: Compression, cpu_seconds: int = CPU_SECONDS) -> None:
        """
        Raises:
            ProviderError: E-NODE
        """
        self.name = compression.name
        inside, self.writer = os.pipe2(os.O_CLOEXEC)
        self.reader, outside = os.pipe2(os.O_CLOEXEC)
        try:
            for end in (self.writer, self.reader):
                os.set_blocking(end, False)
                try:
                    fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, PIPE)
                except OSError:
                    pass  # smaller ones do, more slowly
            self._popen, self._status = confine.spawn(
                program.__file__, _order(compression, cpu_seconds), stdin=inside, stdout=outside, stderr=-3
            )
        except BaseException:
            self.stop_feeding()
            os.close(self.reader)
            raise
        finally:
            os.close(inside)
            os.close(outside)

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

    def take(self, into: memoryview, cancel: threading.Event) -> int:
        """Fill `into`; how many bytes came, fewer only at their end

        Raises:
            ProviderError: E-INTERRUPTED
        """
        done = 0
        while done < len(into):
            if cancel.is_set():
                raise interrupted()
            try:
                count = os.readv(self.reader, [into[done:]])
            except BlockingIOError:
                _wait(self.reader, select.POLLIN)
                continue
            if not count:
                break
            done += count
        return done

    def exchange(self, packed: bytes, into: memoryview) -> int:
        """Feed all of `packed` and fill `into`, in one thread; how many bytes came, fewer only at their end"""
        view, done = memoryview(packed), 0
        poll = select.poll()
        poll.register(self.reader, select.POLLIN)
        if view:
            poll.register(self.writer, select.POLLOUT)
        else:
            self.stop_feeding()
        while done < len(into):
            poll.poll(POLL)
            try:
                if view:
                    view = view[os.write(self.writer, view) :]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                view = view[len(view) :]
            if not view and self.writer >= 0:
                poll.unregister(self.writer)
                self.stop_feeding()
            try:
                count = os.readv(self.reader, [into[done:]])
            except BlockingIOError:
                continue
            if not count:
                break
            done += count
        return done

    def finish(self, cancel: threading.Event) -> int:
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

    def close(self) -> None:
        """End it; the thread that feeds has ended or is to be joined after this"""
        confine.end(self._popen)
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1
        if self._status >= 0:
            os.close(self._status)
            self._status = -1


def unpacked(
    feed: Feed,
    compression: Compression,
    cancel: threading.Event,
    problem: Problem,
    *,
    watch: Callable[[int], None] = lambda _pid: None,
    room: Callable[[], bytearray] | None = None,
) -> Generator[bytearray | bytes]:
    """The plain bytes, in pieces of `PIECE` and a last shorter one; the same buffer each time, or `ZEROS`

    It ends well only if `feed` did, to its end, and the child has unpacked all of it and found nothing wrong. Whoever
    stops before closes the iterator.

    Args:
        problem: makes the errors of packed bytes that are no good
        watch: gets the child's process id
        room: gives a buffer of `PIECE` bytes for each piece, which then belongs to whoever iterates

    Raises:
        ProviderError: what `feed` raises; `problem`; E-INTERRUPTED; E-NODE
    """
    stop, all_fed = threading.Event(), threading.Event()
    errors: list[BaseException] = []
    child = Child(compression)

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
        last: bytearray | bytes = b""
        for piece in _pieces(child, cancel, problem, room):
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


def _pieces(
    child: Child, cancel: threading.Event, problem: Problem, room: Callable[[], bytearray] | None
) -> Generator[bytearray | bytes]:
    """What the child says, until it ends; all of `PIECE` bytes but for the last"""
    own = bytearray(PIECE)
    header = bytearray(RECORD_HEADER)
    count = PIECE
    while child.take(memoryview(header), cancel) == RECORD_HEADER:
        word = int.from_bytes(header, "little")
        if count < PIECE or not 0 < word & ~ZEROS_FLAG <= PIECE:
            raise problem(f"{child.name} data can't be unpacked: what unpacks it talks nonsense", UNTRUSTED)
        count = word & ~ZEROS_FLAG
        if word & ZEROS_FLAG:
            yield ZEROS if count == PIECE else ZEROS[:count]
            continue
        buffer = room() if room is not None and count == PIECE else own
        with memoryview(buffer) as view:
            if child.take(view[:count], cancel) < count:
                return
        yield buffer if count == PIECE else buffer[:count]


def head(packed: bytes, complete: bool, length: int, compression: Compression, problem: Problem) -> bytes:
    """The first `length` plain bytes, as far as the packed ones hold them

    Args:
        packed: the file's first bytes, no more than `PIPE`
        complete: whether that is all of it: it then has to be right

    Raises:
        ProviderError: `problem`, E-NODE
    """
    child = Child(compression, CPU_SECONDS_HEAD)
    try:
        record = bytearray(RECORD_HEADER + length)
        count = child.exchange(packed, memoryview(record))
        word = int.from_bytes(record[:RECORD_HEADER], "little")
        plain = bytes(record[RECORD_HEADER : max(count, RECORD_HEADER)])
        if word & ZEROS_FLAG:
            return bytes(min(word & ~ZEROS_FLAG, length))
        if count < len(record):
            code = child.finish(threading.Event())
            if code and (complete or code != program.TRUNCATED):
                raise _failed(compression.name, code, problem)
        return plain
    finally:
        child.stop_feeding()
        child.close()


def _order(compression: Compression, cpu_seconds: int) -> dict[str, object]:
    # only root can build a jail, and only root's process needs one: without it this is somebody's test
    jailed = os.geteuid() == 0
    memory = MEMORY_BASE + compression.memory
    jail = {
        "argv": [],
        "descriptors": [],
        "limits": confine.limits(cpu_seconds, memory, confine=jailed),
        "parent": os.getpid(),
        "confine": jailed,
        "uid": 0,
        "binds": [],
        "links": {},
        "kvm": False,
        "cgroup": "",
        "syscalls": seccomp.program(seccomp.COMPUTE.values()).hex(),
    }
    return {"jail": jail, "compression": compression.name, "path": _path(compression)}


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


def _join(thread: threading.Thread, cancel: threading.Event) -> None:
    while thread.is_alive():
        if cancel.is_set():
            raise interrupted()
        thread.join(POLL / 1000)
