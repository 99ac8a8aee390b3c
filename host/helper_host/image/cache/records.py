"""What is written beside the bytes: what a URL had when it was asked, and how a download of it stands"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple, TypeVar

from helper_host.answers import Validators
from helper_host.image.cache.folder import PARTS, URLS, Folder

BOOT_ID = "/proc/sys/kernel/random/boot_id"
ASKING, RUNNING, ENDED, FAILED, FULL, CURRENT, DROPPED = (
    "asking",
    "running",
    "ended",
    "failed",
    "full",
    "current",
    "dropped",
)
"""How a download stands: before the server's answer; bytes come; all are there; hopeless; no room; the reference is
right; nobody may use what came."""


class Reference(NamedTuple):
    """What a URL had"""

    shown: str
    """The URL for people, without what may be secret in it."""
    sha256: str
    size: int
    etag: str = ""
    last_modified: str = ""
    checked: float = 0.0
    """When its server said last that this is what it has, in seconds since the epoch."""

    @property
    def validators(self) -> Validators:
        """To ask whether it has changed"""
        return Validators(self.etag, self.last_modified)


class State(NamedTuple):
    """What the process that fetches a URL knows of it"""

    phase: str
    shown: str = ""
    boot: str = ""
    """Which run of the machine; after a crash nobody knows which bytes of a file reached the disk."""
    pid: int = 0
    when: float = 0.0
    """On the clock of all processes since the machine's start, CLOCK_MONOTONIC."""
    generation: str = ""
    """Names the file with the bytes; "": there is none."""
    size: int = -1
    """Bytes in all; -1: the server doesn't say."""
    etag: str = ""
    last_modified: str = ""
    sha256: str = ""
    """Known when all bytes are there."""
    cause: str = ""
    """Of a failure; `shown` goes before it."""
    remedy: str = ""

    @property
    def validators(self) -> Validators:
        """Of what the bytes belong to"""
        return Validators(self.etag, self.last_modified)


R = TypeVar("R", Reference, State)


def boot() -> str:
    """Which run of the machine this is"""
    with open(BOOT_ID, encoding="ascii") as file:
        return file.read().strip()


def load_reference(folder: Folder, key: str) -> Reference | None:
    """What the URL had; None where that isn't known"""
    return _parse(Reference, folder.read(f"{URLS}/{key}"))


def save_reference(folder: Folder, key: str, reference: Reference) -> None:
    """Call it with the key's lock"""
    folder.put(f"{URLS}/{key}", json.dumps(reference._asdict()).encode(), durable=True)


def load_state(folder: Folder, key: str) -> State | None:
    """How the download stands, or stood; None: there was none since the machine was started"""
    state = _parse(State, folder.read(f"{PARTS}/{key}.state"))
    return state if state is not None and state.boot == boot() else None


def save_state(folder: Folder, key: str, state: State) -> None:
    """Call it with the key's lock"""
    import time

    mine = state._replace(boot=boot(), pid=os.getpid(), when=time.monotonic())
    folder.put(f"{PARTS}/{key}.state", json.dumps(mine._asdict()).encode(), durable=False)


def _parse(kind: type[R], content: bytes) -> R | None:
    try:
        values: Any = json.loads(content)
    except (ValueError, RecursionError):
        return None
    types = {name: type(default) for name, default in kind._field_defaults.items()}
    if not isinstance(values, dict) or not all(
        isinstance(values.get(name), (float, int) if types.get(name) is float else types.get(name, (str, int)))
        for name in kind._fields
    ):
        return None
    return kind(**{name: values[name] for name in kind._fields})
