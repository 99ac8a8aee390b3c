"""A node with a cache: its downloads in this process, and in others that can be killed"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from helper_host.http import Rules
from helper_host.image.cache.download import open_download
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import Content
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.integrity.checksum import Checksum
from helper_host.image.sources.base import Places

MIB = 1 << 20
REPOSITORY = Path(__file__).resolve().parents[4]
RULES = Rules(schemes=("http", "https"), connect_seconds=2, silence_seconds=5)

WORKER = """
import hashlib, json, os, sys, threading, time
sys.path[:0] = PATHS
from helper_host.http import Rules
from helper_host.errors import ProviderError
from helper_host.image.cache.download import open_download
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.integrity.base import NOTHING
from helper_host.image.sources.base import Places
PRELUDE
warnings = []
places = Places("", (), rules=Rules(schemes=("http", "https"), connect_seconds=2, silence_seconds=5),
                cache=CacheSpec(*SPEC), warn=warnings.append)
result = {}
try:
    content = open_download(URL, places, NOTHING)
    print("open", content.size, flush=True)
    if WHOLE:
        fd = content.whole(lambda done, total: None, threading.Event())
        result["sha256"] = hashlib.file_digest(open(fd, "rb", closefd=False), "sha256").hexdigest()
    else:
        head = content.peek(1000)
        total = hashlib.sha256()
        size = 0
        for piece in content.pieces(threading.Event()):
            if not size:
                print("begun", flush=True)
                assert bytes(piece[:1000]) == head[:len(piece)]
            total.update(piece)
            size += len(piece)
            if STOP_AFTER and size >= STOP_AFTER:
                raise SystemExit("its own deployment failed")
        result["sha256"] = total.hexdigest()
    result["at_hand"] = content.at_hand
except ProviderError as error:
    result["error"] = str(error)
finally:
    try:
        content.close()
    except NameError:
        pass
result["warnings"] = warnings
print(json.dumps(result), flush=True)
"""


class Got(NamedTuple):
    """What a download brought"""

    data: bytes
    at_hand: bool


class Node:
    """A cache in a folder"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size = 1 << 30
        self.max_age = 0.0
        self.stale = False
        self.warnings: list[str] = []
        self._processes: list[subprocess.Popen[str]] = []

    @property
    def spec(self) -> CacheSpec:
        return CacheSpec(str(self.folder), self.size, self.max_age, self.stale)

    @property
    def places(self) -> Places:
        return Places("", (), rules=RULES, cache=self.spec, warn=self.warnings.append)

    def open(self, url: str, sha256: str = "") -> Content:
        integrity = Integrity((Checksum("sha256", sha256),), sha256) if sha256 else NOTHING
        return open_download(url, self.places, integrity)

    def get(self, url: str, sha256: str = "") -> Got:
        with self.open(url, sha256) as content:
            return Got(b"".join(map(bytes, content.pieces(threading.Event()))), content.at_hand)

    def start(self, url: str, *, prelude: str = "", whole: bool = False, stop_after: int = 0) -> subprocess.Popen[str]:
        """A download in a process of its own"""
        values = {
            "PATHS": [str(REPOSITORY / name) for name in ("host", "helper")],
            "SPEC": tuple(self.spec),
            "URL": url,
            "WHOLE": whole,
            "STOP_AFTER": stop_after,
        }
        script = WORKER.replace("PRELUDE", prelude)
        for name, value in values.items():
            script = script.replace(name, repr(value))
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    # --- what is in the folder --------------------------------------------------------------------------------------

    def names(self, kind: str) -> list[str]:
        path = self.folder / kind
        return sorted(os.listdir(path)) if path.exists() else []

    def objects(self) -> list[str]:
        return self.names("objects")

    def parts(self) -> list[Path]:
        return [self.folder / "parts" / name for name in self.names("parts") if name.endswith(".part")]

    def damage(self, position: int = 12345) -> None:
        """One bit of the only object"""
        (name,) = self.objects()
        path = self.folder / "objects" / name
        path.chmod(0o600)
        with path.open("r+b") as file:
            file.seek(position)
            (byte,) = file.read(1)
            file.seek(position)
            file.write(bytes([byte ^ 1]))
        path.chmod(0o400)


def result(process: subprocess.Popen[str], seconds: float = 30) -> dict[str, Any]:
    """What a process of `Node.start` says at its end"""
    output, errors = process.communicate(timeout=seconds)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def wait_for(what: Callable[[], object], seconds: float = 10.0) -> None:
    """Until it is so"""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it doesn't come about"
        time.sleep(0.01)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
