"""A program that fetches an image, at work: bytes on stdout, how many on a descriptor of their own, words on stderr"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.image.content import interrupted
from helper_host.image.sources.base import Places
from helper_host.image.sources.shown import without_secrets
from helper_host.image.sources.streamed import Streamed
from helper_host.log import printable

SUPERVISOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "supervisor.py")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "IMAGE_SIZE_FD": "3",
}
PIPE = 1 << 20
"""What the kernel lets everybody have (fs.pipe-max-size)."""
BLOCK = 1 << 19
SIZE_LINE = re.compile(rb"\s*([0-9]{1,19})\s*", re.ASCII)
SIZE_LINE_MAX = 64
LINES_MAX = 200
LINE_MAX = 500
LOOK_SECONDS = 0.2
END_SECONDS = 5.0
"""For the supervisor to end what it has started."""


class ProgramContent(Streamed):
    """What the program prints

    Args:
        path: the program, which may be run
        reference: all of it; the program reads it on stdin
        argument: what of it everybody may see
    """

    def __init__(self, path: str, reference: str, argument: str, file_name: str, places: Places) -> None:
        super().__init__(http.shown(reference), file_name, places.cache)
        self._path, self._places = path, places
        self._silence = places.rules.silence_seconds
        self._words = _Words(os.path.basename(path), reference, places)
        self._size_line = b""
        self._done = 0
        self._open: list[int] = []
        self._process = self._start(reference, argument)

    # --- the process ----------------------------------------------------------------------------------------------

    def _start(self, reference: str, argument: str) -> subprocess.Popen[bytes]:
        reading, theirs = [], []
        try:
            for _ in range(3):
                read_end, write_end = os.pipe2(os.O_CLOEXEC)
                reading.append(read_end)
                theirs.append(write_end)
                os.set_blocking(read_end, False)
            self._stdout, self._stderr, self._size_fd = reading
            with suppress(OSError):
                fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, PIPE)
            lifeline, self._lifeline = os.pipe2(os.O_CLOEXEC)
            theirs.append(lifeline)
            reading.append(self._lifeline)
            paper = os.memfd_create("reference", os.MFD_CLOEXEC)
            theirs.append(paper)
            os.write(paper, f"{reference}\n".encode())
            os.lseek(paper, 0, os.SEEK_SET)
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", SUPERVISOR, str(lifeline), str(theirs[2]), self._path, argument],
                stdin=paper,
                stdout=theirs[0],
                stderr=theirs[1],
                pass_fds=(theirs[2], lifeline),
                env=ENVIRONMENT,
                cwd="/",
                umask=0o077,
                start_new_session=True,
            )
        except OSError as error:
            _close(reading)
            raise ProviderError(
                "E-NODE", f"{self._path} could not be started ({error.strerror})", "see what the node lacks"
            ) from None
        finally:
            _close(theirs)
        self._open = reading
        return process

    def _stop(self) -> None:
        if not self._open:
            return
        # a fork of ours may hold the lifeline too: closing it is not enough
        with suppress(BrokenPipeError):
            os.write(self._lifeline, b"\n")
        _close(self._open)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    # --- what it says -----------------------------------------------------------------------------------------------

    def peek(self, length: int) -> bytes:
        head = super().peek(length)
        self._read_size()
        return head

    def _blocks(self) -> Iterator[bytes]:
        poll = select.poll()
        for descriptor in (self._stdout, self._stderr, self._size_fd):
            poll.register(descriptor, select.POLLIN)
        silent = 0.0
        while True:
            since = time.monotonic()
            ready = dict(poll.poll(LOOK_SECONDS * 1000))
            if self._cancel.is_set():
                raise interrupted()
            if self._stderr in ready and not self._words.read(self._stderr):
                poll.unregister(self._stderr)
            if self._size_fd in ready and not self._read_size():
                poll.unregister(self._size_fd)
            if self._stdout in ready:
                silent = 0.0
                block = os.read(self._stdout, BLOCK)
                if not block:
                    break
                self._done += len(block)
                self._read_size()
                if self.size is not None and self._done > self.size:
                    raise self._failed(f"printed more bytes than the {self.size} that it has announced")
                yield block
                continue
            silent += time.monotonic() - since
            if silent > self._silence:
                raise self._failed(
                    f"printed nothing for {self._silence:g} s", "see why, or raise download_silence_timeout"
                )
        self._finish()

    def _read_size(self) -> bool:
        """What there is of the line with the size, which may come at any time; False: there won't be more"""
        if self.size is not None or not self._open:
            return False
        more = True
        with suppress(BlockingIOError):
            while len(self._size_line) < SIZE_LINE_MAX and more:
                part = os.read(self._size_fd, SIZE_LINE_MAX)
                self._size_line += part
                more = bool(part)
        line, newline, _ = self._size_line.partition(b"\n")
        if not newline and len(self._size_line) < SIZE_LINE_MAX:
            return more
        match = SIZE_LINE.fullmatch(line)
        if match is None:
            raise self._failed("printed a size that is none")
        self.size = int(match[1])
        return False

    def _finish(self) -> None:
        """All bytes came: were they all?"""
        ended = os.pidfd_open(self._process.pid)
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            deadline = time.monotonic() + self._silence
            while not poll.poll(LOOK_SECONDS * 1000):
                if self._cancel.is_set():
                    raise interrupted()
                self._words.read(self._stderr)
                if time.monotonic() > deadline:
                    raise self._failed(f"did not end {self._silence:g} s after its last byte")
        finally:
            os.close(ended)
        status = self._process.wait()
        self._words.read(self._stderr)
        self._words.end()
        self._read_size()
        if status != 0:
            how = f"exit code {status}" if status < 128 else f"killed by signal {status - 128}"
            said = f": {self._words.last}" if self._words.last else ""
            raise self._failed(f"failed ({how}{said})", "see what it said above")
        if self.size is not None and self._done != self.size:
            raise self._failed(f"printed {self._done} bytes, and has announced {self.size}")

    def _failed(self, how: str, remedy: str = "look at the program") -> ProviderError:
        return ProviderError("E-IMAGE-FETCH", f"The image {self.name} can't be had: {self._path} {how}", remedy)


class _Words:
    """What a program says on its stderr, on the way into the log"""

    def __init__(self, prefix: str, reference: str, places: Places) -> None:
        self._prefix, self._reference, self._places = prefix, reference, places
        self._rest = b""
        self._lines = 0
        self.last = ""
        """The last line that says something."""

    def read(self, descriptor: int) -> bool:
        """Take what is there; False at the end"""
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return True
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._say(line)
        self._rest = rest[: 4 * LINE_MAX]
        return bool(data)

    def end(self) -> None:
        """The last line, if it has no newline"""
        if self._rest:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        text = without_secrets(line[: 4 * LINE_MAX].decode("utf-8", "replace"), self._reference).strip()
        text = printable(text)[:LINE_MAX]
        if not text:
            return
        self.last = text[:200]
        self._lines += 1
        if self._lines <= LINES_MAX:
            self._places.say(f"{self._prefix}: {text}")
        elif self._lines == LINES_MAX + 1:
            self._places.say(f"{self._prefix}: what else it says is not shown")


def _close(descriptors: list[int]) -> None:
    while descriptors:
        with suppress(OSError):
            os.close(descriptors.pop())
