"""Which deployments are under way on this node: one locked file a run, swept when its owner has died

The file in the run folder is lock and state in one. The lock (flock(2)) belongs to the open descriptor, so the kernel
frees it with the last process that holds it, however that process ended; a file that can be locked is a leftover.

The state is one record of a fixed size with a checksum, written over the last one: a new file in its place would not
have the lock, and takes room that a full disk may not have. Who reads while it is written sees a wrong checksum, and
reads again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from helper_host import outcomes
from helper_host.errors import ProviderError
from helper_host.log import Log

SUFFIX = ".run"
PATIENCE = 0.5
"""Seconds after which a lock is somebody's run and not a sweep's look."""
RECORD = 4096
"""Bytes of a record."""
TRIES = 5
"""A record is written in microseconds: whoever finds a broken one so often has found no record."""


class Seen(NamedTuple):
    """A run as others see it"""

    instance: str
    alive: bool
    """Its process lives."""
    state: Mapping[str, Any]
    """pid, action, since (seconds since the epoch), and what `Run.write` added; {} when it can't be read."""


class Run:
    """This deployment's file, held from start to end; a context manager

    Raises:
        ProviderError: E-BUSY when another run of the same instance holds it, E-NODE when the folder can't be used
    """

    def __init__(self, folder: str, instance: str, action: str) -> None:
        self._path = os.path.join(folder, f"{instance}{SUFFIX}")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            descriptor = _lock_patiently(self._path)
        except OSError as error:
            raise ProviderError(
                "E-NODE",
                f"The run file {self._path} could not be made ({error.strerror})",
                "see that the folder exists, is root's own, and has room",
            ) from None
        if descriptor is None:
            raise ProviderError(
                "E-BUSY",
                f"Another run of the OS scripts for {instance} is under way ({_owner(self._path)})",
                "wait for it to end, or end that process",
            )
        self._descriptor = descriptor
        self._state = {"pid": os.getpid(), "instance": instance, "action": action, "since": round(time.time(), 3)}
        outcomes.forget(folder, instance)
        self.write({})

    @property
    def state(self) -> Mapping[str, Any]:
        """Whose run it is: pid, instance, action, since"""
        return self._state

    def write(self, state: Mapping[str, Any]) -> None:
        """Tell others how far it is: what json knows, no secrets; cheap, and no error when there is no room for it"""
        text = json.dumps({**self._state, **state}).encode()
        if len(text) > RECORD - 10:
            return
        text = text.ljust(RECORD - 10)
        # the lock is what counts; without room nobody learns whose it is
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, b"%08x %s\n" % (zlib.crc32(text), text), 0)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a deployment isn't worse for a folder that somebody has taken away
            os.unlink(self._path)
        os.close(self._descriptor)


def sweep(folder: str, log: Log) -> None:
    """Remove the files of runs whose process has died; files of living runs and foreign files are left alone"""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return  # where it matters, Run says why
    for name in names:
        if not name.endswith(SUFFIX):
            continue
        path = os.path.join(folder, name)
        try:
            descriptor = _lock(path, create=False)
        except OSError:
            continue
        if descriptor is not None:
            instance = name.removesuffix(SUFFIX)
            log.warning(f"An earlier run for {instance} died without cleaning up; its leftovers are removed")
            outcomes.write(folder, instance, {**_read(path), "error": outcomes.DIED})
            with contextlib.suppress(OSError):
                os.unlink(path)
            os.close(descriptor)
    outcomes.prune(folder)


def look(folder: str) -> list[Seen]:
    """All runs in `folder`, by their instances' names

    Raises:
        OSError: it can't be read
    """
    seen = []
    for name in sorted(os.listdir(folder)):
        if not name.endswith(SUFFIX):
            continue
        path = os.path.join(folder, name)
        try:
            seen.append(Seen(name.removesuffix(SUFFIX), _is_held(path), _read(path)))
        except OSError:
            continue  # it has just ended
    return seen


def _is_held(path: str) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        # shared, for a moment: a run that begins just now is patient
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read(path: str) -> dict[str, Any]:
    """The record in a run's file, {} when there is none"""
    for _ in range(TRIES):
        try:
            with open(path, "rb") as file:
                checksum, _, text = file.read(RECORD)[:-1].partition(b" ")
            state = json.loads(text) if int(checksum, 16) == zlib.crc32(text) else None
        except (OSError, ValueError):
            state = None
        if isinstance(state, dict):
            return state
    return {}


def _lock_patiently(path: str) -> int | None:
    """As `_lock`, made if it isn't there: the sweep of another run holds the lock of each file for a moment"""
    deadline = time.monotonic() + PATIENCE
    while (descriptor := _lock(path, create=True)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return descriptor


def _lock(path: str, *, create: bool) -> int | None:
    """A locked descriptor of the file that `path` names now, or None when somebody else has the lock"""
    while True:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_CREAT if create else 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the owner unlinks before it unlocks: make sure that we locked the file and not its ghost
            if os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False)):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            if not create:
                os.close(descriptor)
                return None
        os.close(descriptor)


def _owner(path: str) -> str:
    return f"process {_read(path).get('pid', 'unknown')}"
