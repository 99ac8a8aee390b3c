"""Grow the volumes between the partition and its filesystem: LUKS and LVM

An encrypted volume takes its partition's new size; of LVM the physical volume does, and the logical volume of the root
gets all extents that are free on it. Other physical volumes of the group, on other disks, are left as they are.
"""

from __future__ import annotations

from helper_agent.api import Context, Skip, Task
from helper_agent.disk import growth

TASK = Task(
    name="grow-volumes",
    phase="devices",
    after=("grow-partition",),
    options=(growth.OPTION,),
)


def run(context: Context) -> None:
    """See `Task`"""
    target = growth.target(context)
    if not target.stack:
        raise Skip("there are none")
    from helper_agent.disk import luks, lvm

    for layer in target.stack:
        if layer.kind == "luks":
            luks.grow(layer, context.run)
        else:
            lvm.grow(layer, context.run, context.log)
