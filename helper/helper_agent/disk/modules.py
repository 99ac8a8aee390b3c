"""Kernel modules loaded when a disk needs them, in the order modules.dep gives

By finit_module(2) instead of a modprobe process. The kernel says ENODEV for a filesystem it has no code for, so nobody
has to know which ones are built in.
"""

from __future__ import annotations

import os

from helper_agent import syscalls

MODULES = "/lib/modules"


def load(*names: str) -> None:
    """The modules `names` with all they need; one that isn't there (built in, perhaps) is passed over

    Raises:
        OSError: the kernel refused a module
    """
    folder = f"{MODULES}/{os.uname().release}"
    try:
        with open(f"{folder}/modules.dep", encoding="ascii") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return
    needs: dict[str, list[str]] = {}
    for line in lines:
        path, _, rest = line.partition(":")
        needs[_name(path)] = [path, *rest.split()]
    for name in names:
        # modules.dep lists what is needed last first
        for path in reversed(needs.get(name, [])):
            fd = os.open(os.path.join(folder, path), os.O_RDONLY | os.O_CLOEXEC)
            try:
                syscalls.finit_module(fd)
            finally:
                os.close(fd)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".ko", 1)[0].replace("-", "_")
