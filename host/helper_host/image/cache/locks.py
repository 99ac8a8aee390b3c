"""Locks by flock(2): freed by the kernel with the process that holds them, however it ends"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_held: set[int] = set()


def _close_in_child() -> None:
    # a forked guard must not keep what its parent held when that was killed; closing a copy frees nothing
    for fd in _held:
        with suppress(OSError):
            os.close(fd)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


def try_lock(path: str, *, create: bool = True) -> int | None:
    """A locked descriptor of the file that `path` names now; None when somebody else has it, or there is no such file

    Raises:
        OSError: it can't be made
    """
    while True:
        try:
            fd = os.open(path, FLAGS | (os.O_CREAT if create else 0), 0o600)
        except FileNotFoundError:
            if create:
                raise
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # its owner unlinks before it unlocks: make sure that we locked the file and not its ghost
            if os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False)):
                _held.add(fd)
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            pass
        os.close(fd)


def release(path: str, fd: int) -> None:
    """Give up what `try_lock` gave; the file goes"""
    with suppress(OSError):
        os.unlink(path)
    unlock(fd)


def unlock(fd: int) -> None:
    """Give up a lock, its file stays"""
    _held.discard(fd)
    # not by closing alone: a forked child may have the descriptor too
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Hold a lock whose file stays for ever; waits for whoever has it, which is never long

    Raises:
        OSError: it can't be made
    """
    fd = os.open(path, FLAGS | os.O_CREAT, 0o600)
    _held.add(fd)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        unlock(fd)
