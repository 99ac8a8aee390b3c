"""Manifests of helper images that were never built, with the built-in tasks as the real one has them"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from helper_agent import registry
from helper_agent.declaration import Task, plain
from helper_agent.protocol import AGENT_VERSION, PROTOCOL_VERSION
from helper_host import helper_image


def row(task: Task, source: str = helper_image.BUILT_IN, kind: str = "python") -> dict[str, Any]:
    """One task's"""
    return {"task": plain(task), "heading": "Do it", "manual": "", "source": source, "kind": kind}


def manifest(files: Mapping[str, bytes], tasks: Iterable[Task] | None = None) -> dict[str, Any]:
    """A manifest for `files` by name; `tasks`: others than the built-in ones"""
    named = [entry.task for entry in registry.load()] if tasks is None else tasks
    return {
        "format": helper_image.MANIFEST_FORMAT,
        "suite": "bookworm",
        "agent": AGENT_VERSION,
        "protocol": PROTOCOL_VERSION,
        "files": {
            name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        },
        "tasks": [row(task) for task in named],
    }
