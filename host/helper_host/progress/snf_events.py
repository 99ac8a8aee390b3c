"""snf-image's events, as its documentation (usage.rst, "Progress Monitoring Interface") and its code have them: JSON
objects with a type and a timestamp, one a line

Its own monitor (snf-progress-monitor) reads 512 bytes at a time and drops the spaces around what it has read, so an
event must be shorter.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

LINE_MAX = 500
"""Bytes of an event."""
MESSAGE_MAX = 400
"""Characters of a message, in the beginning; less where many of them take more than a byte in JSON."""


def info(message: str) -> bytes:
    """What is going on"""
    return _line(message, {"type": "image-info"})


def error(message: str) -> bytes:
    """Why the deployment has failed; the last event"""
    return _line(message, {"type": "image-error"})


def helper_warning(message: str) -> bytes:
    """The helper goes on, though not as hoped"""
    return _line(message, {"type": "image-helper", "subtype": "warning"})


def helper_error(message: str) -> bytes:
    """Why the helper has failed"""
    return _line(message, {"type": "image-helper", "subtype": "error"})


def copied(position: int, total: int) -> bytes:
    """Bytes on the disk; a `total` of 0 is unknown"""
    percent = round(100 * position / total, 2) if total else 0.0
    return _dump({"type": "image-copy-progress", "position": position, "total": total, "progress": percent})


def task_start(task: str) -> bytes:
    """A task begins in the helper"""
    return _dump({"type": "image-helper", "subtype": "task-start", "task": task[:60]})


def task_end(task: str) -> bytes:
    """A task has ended well"""
    return _dump({"type": "image-helper", "subtype": "task-end", "task": task[:60]})


def _line(message: str, event: dict[str, Any]) -> bytes:
    most = MESSAGE_MAX
    while len(line := _dump({**event, "messages": _cut(message.splitlines() or [""], most)})) > LINE_MAX:
        most //= 2
    return line


def _cut(lines: Iterable[str], most: int) -> list[str]:
    kept = []
    for line in lines:
        if most <= 0:
            break
        kept.append(line[:most])
        most -= len(line)
    return kept


def _dump(event: dict[str, Any]) -> bytes:
    return json.dumps({**event, "timestamp": time.time()}).encode() + b"\n"
