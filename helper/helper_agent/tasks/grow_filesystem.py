"""Grow the root filesystem to its partition

Mounted for that on a place of its own, since the kernel grows ext4, XFS and btrfs mounted, without the full check that
the offline way needs. Where the kernel can't, the offline tools do it. It is another partition's filesystem that grows
where `resize` names that one.
"""

from __future__ import annotations

import errno

from helper_agent.api import Context, Skip, Task, TaskError
from helper_agent.disk import growth, mounts
from helper_agent.disk.growth import Target
from helper_agent.filesystems.base import Filesystem, Offline, of

TASK = Task(
    name="grow-filesystem",
    phase="devices",
    after=("grow-volumes",),
    options=(growth.OPTION,),
    # e2fsck and resize2fs have an hour each
    timeout=7500,
)


def run(context: Context) -> None:
    """See `Task`"""
    target = growth.target(context)
    filesystem = of(target.type)
    if not target.device or filesystem is None or not (filesystem.grow or filesystem.grow_offline):
        raise _no_way(context, target)
    try:
        _grow_mounted(filesystem, target, context)
    except Offline as why:
        context.log.debug(f"{target.device} is grown unmounted: {why}")
        if filesystem.grow_offline:
            filesystem.grow_offline(target.device, context.run, context.log)
    except OSError as error:
        raise _failed(filesystem, target.device, error) from error


def _grow_mounted(filesystem: Filesystem, target: Target, context: Context) -> None:
    if filesystem.grow is None:
        raise Offline("the kernel doesn't")
    system = context.devices._replace(root_device=target.device, root_type=target.type, root_options=target.options)
    with mounts.root(system, context.log, context.run) as mounted:
        filesystem.grow(target.device, mounted.path)


def _no_way(context: Context, target: Target) -> Skip:
    if not target.asked:
        return Skip(f"{target.type} can't be grown")
    what = {"": "nothing that is known", "LVM2_member": "LVM: its volume group has the room now"}.get(target.type)
    context.log.warning(f"Partition {target.number} holds {what or f'{target.type}, which is not grown with it'}")
    return Skip("no filesystem to grow")


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
