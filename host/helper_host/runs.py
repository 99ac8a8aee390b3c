"""Which deployments are under way on this node: one locked file a run, swept when its owner has died

The file in the run folder is lock and state in one. The lock (flock(2)) belongs to the open descriptor, so the kernel
frees it with the last process that holds it, however that process ended; a file that can be locked is a leftover.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from types import TracebackType

from helper_host.errors import ProviderError
from helper_host.log import Log

SUFFIX = ".run"
PATIENCE = 0.5
"""Seconds after which a lock is somebody's run and not a sweep's look."""


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
        state = {"pid": os.getpid(), "instance": instance, "action": action, "since": int(time.time())}
        with contextlib.suppress(OSError):  # the lock is what counts; without room nobody learns whose it is
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(state).encode(), 0)

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
            log.warning(
                f"An earlier run for {name.removesuffix(SUFFIX)} died without cleaning up; its leftovers are removed"
            )
            with contextlib.suppress(OSError):
                os.unlink(path)
            os.close(descriptor)


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
    try:
        with open(path, encoding="utf-8") as file:
            return f"process {int(json.load(file)['pid'])}"
    except (OSError, ValueError, KeyError, TypeError):
        return "process unknown"
