"""How deployments on this node ended: a file an instance in the run folder, for a while

Whoever watches one sees it end, and learns here how; the next one of the same instance begins by removing it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any

SUFFIX = ".last"
DIED = "the process died"
"""In the place of the log's last line."""
AGE_MAX = 86400.0
COUNT_MAX = 100
SIZE_MAX = 65536


def write(folder: str, instance: str, outcome: Mapping[str, Any]) -> None:
    """Remember `outcome`, which has no secrets; no error when there is no room for it

    Args:
        outcome: the run's state, `error` (the log's last line, "" when all went well), and what else there is to say
    """
    path = os.path.join(folder, f"{instance}{SUFFIX}")
    text = json.dumps({"ended": round(time.time(), 3), **outcome})
    if len(text) > SIZE_MAX:
        return
    temporary = f"{path}.new"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def read(folder: str) -> dict[str, dict[str, Any]]:
    """Instance -> its last outcome, those of the last day"""
    found = {}
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    for name in names:
        if not name.endswith(SUFFIX):
            continue
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                outcome = json.loads(file.read(SIZE_MAX))
            recent = time.time() - float(outcome["ended"]) < AGE_MAX
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if recent:
            found[name.removesuffix(SUFFIX)] = outcome
    return found


def forget(folder: str, instance: str) -> None:
    """There is none any more"""
    with contextlib.suppress(OSError):
        os.unlink(os.path.join(folder, f"{instance}{SUFFIX}"))


def prune(folder: str) -> None:
    """Remove those that are old, and the oldest of too many"""
    ages = []
    now = time.time()
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    ages.append((now - entry.stat(follow_symlinks=False).st_mtime, entry.path))
    for number, (age, path) in enumerate(sorted(ages)):
        if number >= COUNT_MAX or age > AGE_MAX:
            with contextlib.suppress(OSError):
                os.unlink(path)
