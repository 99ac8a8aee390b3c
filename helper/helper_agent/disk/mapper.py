"""Device mapper: where a volume's device is, and its end

There is no udev in the helper: devtmpfs has a node /dev/dm-N for each device, and /sys says which is which.
"""

from __future__ import annotations

import os

from helper_agent.api import TaskError
from helper_agent.disk import modules
from helper_agent.filesystems.base import Run

SYS_BLOCK = "/sys/block"
ENVIRONMENT = {"DM_DISABLE_UDEV": "1"}
"""For every program that makes or changes a mapping: it must not wait for udev."""


def broken(cause: str, remedy: str = "use another image", *, output: str = "") -> TaskError:
    """The error for a volume that can't be opened or grown"""
    return TaskError(cause, remedy, code="E-VOLUME", output=output)


def load(*more: str) -> None:
    """The kernel's device mapper, and the modules `more`

    Raises:
        OSError
    """
    modules.load("dm_mod", *more)


def device(name: str) -> str:
    """Device path of the mapping `name`

    Raises:
        TaskError: E-VOLUME, there is none
    """
    for one in sorted(os.listdir(SYS_BLOCK)):
        if one.startswith("dm-"):
            with open(f"{SYS_BLOCK}/{one}/dm/name", encoding="utf-8", errors="replace") as file:
                if file.read().strip() == name:
                    return f"/dev/{one}"
    raise broken(f"The volume {name} has no device", "this is a fault of the helper")


def remove(names: list[str], run: Run) -> None:
    """The mappings `names`, those that lie on others first; no metadata is read or written for it

    Raises:
        CommandFailed: one is still in use
    """
    run(["dmsetup", "remove", "--retry", *names], env=ENVIRONMENT)
