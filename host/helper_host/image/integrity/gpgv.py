"""gpgv at work in its jail: fed through a pipe while bytes pass, and read for what it says

It reads what an attacker may have made, so it runs as nobody, without a network, and sees nothing but the keyrings, the
signature and what is fed to it; it has no home folder and keeps nothing. Whatever it doesn't say in time, in full and
in its status lines is not said.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import threading
import time
from collections.abc import Sequence

from helper_host import confine
from helper_host.errors import ProviderError
from helper_host.image.content import Piece, interrupted
from helper_host.image.integrity.verdict import Refusal

PROGRAM = "/usr/bin/gpgv"
SILENCE_SECONDS = 30.0
"""For the next piece to be taken, and for the verdict after the last one. Hashing a piece takes milliseconds."""
TICK_SECONDS = 0.2
"""How soon a cancelled run is noticed."""
CPU_SECONDS = 86400
"""A day of hashing is some 40 TB; what loops takes no bytes, and is ended for its silence."""
MEMORY = 256 << 20
"""Bytes of address space; seen: 22 MiB beside the keyrings, whose pages it reads one at a time."""
SAID_MAX = 64 << 10
"""Most bytes of status lines."""
PIPE_SIZE = 1 << 20
"""F_SETPIPE_SZ; the most that the kernel gives without asking, so that feeding rarely waits."""
FIRST_FD = 3


class Gpgv:
    """A running gpgv; `close()` in any case"""

    def __init__(
        self,
        keyrings: Sequence[bytes],
        cancel: threading.Event,
        *,
        signature: bytes | None,
        output_max: int = 0,
        program: str = "",
    ) -> None:
        """Start it

        Args:
            keyrings: in gpgv's formats
            signature: a detached one over what it is fed with; None: it is fed with a clear-signed message
            output_max: most bytes of the message that it unwraps
            program: another than the usual one

        Raises:
            ProviderError: E-NODE
        """
        program = program or PROGRAM
        check(program)
        self._cancel = cancel
        self._limits: dict[int, int] = {}
        self._said: dict[int, bytearray] = {}
        self._input = -1
        self._popen: subprocess.Popen[bytes] | None = None
        try:
            self._start(program, keyrings, signature, output_max)
        except BaseException:
            self.close()
            raise

    def _start(self, program: str, keyrings: Sequence[bytes], signature: bytes | None, output_max: int) -> None:
        contents = [*keyrings, *([signature] if signature is not None else [])]
        jailed = os.geteuid() == 0
        with contextlib.ExitStack() as theirs:
            status = self._pipe(theirs, SAID_MAX)
            output = self._pipe(theirs, output_max)
            self._status, self._output = self._said
            stdin, self._input = os.pipe2(os.O_CLOEXEC)
            theirs.callback(os.close, stdin)
            os.set_blocking(self._input, False)
            with contextlib.suppress(OSError):  # more than this user may have: then smaller steps
                fcntl.fcntl(self._input, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
            copies = [] if jailed else [_in_memory(content, theirs) for content in contents]
            paths = [
                f"/keys/{number}.gpg" if jailed else f"/proc/self/fd/{FIRST_FD + 1 + number}"
                for number in range(len(contents))
            ]
            argv = [program, "--status-fd", str(FIRST_FD), "--homedir", "/", "--output", "-"]
            for path in paths[: len(keyrings)]:
                argv += ["--keyring", path]
            argv += ["--", *paths[len(keyrings) :], "-"]
            self._popen = confine.start(
                argv,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.DEVNULL,
                pass_fds=(status, *copies),
                files=list(zip(contents, paths, strict=True)) if jailed else (),
                cpu_seconds=CPU_SECONDS,
                memory=MEMORY,
                confine=jailed,
            )

    @property
    def pid(self) -> int:
        """Its process id, until it is closed"""
        return self._popen.pid if self._popen is not None else 0

    def feed(self, data: Piece) -> None:
        """The next bytes

        Raises:
            Refusal: it ended before it had all, or takes no more
            ProviderError: E-INTERRUPTED
        """
        rest = memoryview(data)
        deadline = time.monotonic() + SILENCE_SECONDS
        while rest:
            try:
                written = os.write(self._input, rest)
            except BlockingIOError:
                self._wait(deadline, feeding=True)
                continue
            except BrokenPipeError:
                raise self._ended_early() from None
            rest = rest[written:]
            deadline = time.monotonic() + SILENCE_SECONDS

    def end(self) -> tuple[bytes, int, bytes]:
        """After the last byte: status lines, exit code, and the message that it unwrapped

        Raises:
            Refusal: it said too much, or nothing in time
            ProviderError: E-INTERRUPTED
        """
        os.close(self._input)
        self._input = -1
        return self._rest()

    def close(self) -> None:
        """End it; harmless when repeated"""
        if self._popen is not None:
            confine.end(self._popen)
        if self._input >= 0:
            os.close(self._input)
            self._input = -1
        for descriptor in self._said:
            if descriptor in self._limits:
                os.close(descriptor)
        self._limits = {}

    def _pipe(self, theirs: contextlib.ExitStack, limit: int) -> int:
        """A pipe that it writes to, at most `limit` bytes; the end for it"""
        ours, end = os.pipe2(os.O_CLOEXEC)
        theirs.callback(os.close, end)
        os.set_blocking(ours, False)
        self._said[ours] = bytearray()
        self._limits[ours] = limit
        return end

    def _rest(self) -> tuple[bytes, int, bytes]:
        deadline = time.monotonic() + SILENCE_SECONDS
        while self._limits:
            self._wait(deadline, feeding=False)
        assert self._popen is not None
        try:
            code = self._popen.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise _silent() from None
        return bytes(self._said[self._status]), code, bytes(self._said[self._output])

    def _wait(self, deadline: float, *, feeding: bool) -> None:
        """Until it takes or says something, for a moment at most"""
        if self._cancel.is_set():
            raise interrupted()
        if time.monotonic() > deadline:
            raise _silent()
        # not select(2), which takes no descriptor above 1023
        poll = select.poll()
        for descriptor in self._limits:
            poll.register(descriptor, select.POLLIN)
        if feeding:
            poll.register(self._input, select.POLLOUT)
        for descriptor, _ in poll.poll(TICK_SECONDS * 1000):
            if descriptor != self._input:
                self._read(descriptor)

    def _read(self, descriptor: int) -> None:
        said = self._said[descriptor]
        block = os.read(descriptor, 65536)
        if not block:
            os.close(descriptor)
            del self._limits[descriptor]
        elif len(said) + len(block) > self._limits[descriptor]:
            raise Refusal("could not be checked: gpgv has too much to say of it", "give a file with one signature")
        said += block

    def _ended_early(self) -> Refusal:
        """Why it took no more: what it says by then is a refusal, or it was ended by others"""
        status, code, _ = self._rest()
        from helper_host.image.integrity import verdict

        # a signature that isn't one ends it before it has read what should be signed
        if code == verdict.UNCHECKED_EXIT:
            try:
                verdict.judge(status, code)
            except Refusal as refusal:
                return refusal
        return Refusal(
            f"could not be checked: gpgv ended too early, {confine.how_it_ended(code)}",
            "try again; if it stays so, run gpgv by hand",
        )


def check(program: str = "") -> None:
    """Whether it is installed; E-NODE"""
    program = program or PROGRAM
    if not os.access(program, os.X_OK):
        raise ProviderError(
            "E-NODE",
            f"{program}, which checks signatures of images, is not there or can't be run",
            "apt-get install gpgv",
        )


def _in_memory(content: bytes, theirs: contextlib.ExitStack) -> int:
    copy = os.memfd_create("gpgv", os.MFD_CLOEXEC)
    theirs.callback(os.close, copy)
    with open(copy, "wb", closefd=False) as file:
        file.write(content)
    return copy


def _silent() -> Refusal:
    return Refusal(
        f"could not be checked: gpgv did nothing for {SILENCE_SECONDS:g} s", "see whether the node is overloaded"
    )
