"""The tasks that come with the helper, read from their modules: for machines that have no helper image"""

from __future__ import annotations

import inspect
import sys

from helper_agent import registry
from helper_agent.taskfile import PYTHON, TaskFile
from helper_kit.manual import BUILT_IN


def tasks() -> tuple[TaskFile, ...]:
    """In the order they run, without their content

    Raises:
        registry.RegistryError: a defect of ours
    """
    entries = registry.load()
    return tuple(TaskFile(each.task, PYTHON, each.heading, _manual(each), BUILT_IN, b"") for each in entries)


def _manual(entry: registry.Entry) -> str:
    module = sys.modules[entry.run.__module__]
    return (inspect.getdoc(module) or "").partition("\n")[2].strip()
