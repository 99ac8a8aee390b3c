"""Grow the root filesystem to its partition

Mounted for that on a place of its own, since the kernel grows ext4, XFS and btrfs mounted, without the full check that
the offline way needs. Where the kernel can't, the offline tools do it.
"""

from __future__ import annotations

import errno

from helper_agent.api import Context, Skip, Task, TaskError
from helper_agent.disk import mounts
from helper_agent.filesystems.base import Filesystem, Offline, of

TASK = Task(
    name="grow-filesystem",
    phase="devices",
    after=("grow-partition",),
    # e2fsck and resize2fs have an hour each
    timeout=7500,
)


def run(context: Context) -> None:
    """See `Task`"""
    system = context.devices
    filesystem = of(system.root_type)
    if filesystem is None or filesystem.grow is None:
        raise Skip(f"{system.root_type} can't be grown")
    try:
        _grow_mounted(filesystem, context)
    except Offline as why:
        context.log.debug(f"{system.root_device} is grown unmounted: {why}")
        if filesystem.grow_offline:
            filesystem.grow_offline(system.root_device, context.run, context.log)
    except OSError as error:
        raise _failed(filesystem, system.root_device, error) from error


def _grow_mounted(filesystem: Filesystem, context: Context) -> None:
    assert filesystem.grow is not None
    device = context.devices.root_device
    with mounts.root(context.devices, context.log, context.run) as mounted:
        filesystem.grow(device, mounted.path)


def _failed(filesystem: Filesystem, device: str, error: OSError) -> TaskError:
    if error.errno == errno.ENOSPC:
        return TaskError(
            f"The {filesystem.name} filesystem on {device} is too full to be grown",
            "free some space in the image",
            code="E-FILESYSTEM-FULL",
        )
    return TaskError(
        f"The {filesystem.name} filesystem on {device} could not be grown: {error.strerror}",
        "check it on a copy of the image",
        code="E-FILESYSTEM",
    )
