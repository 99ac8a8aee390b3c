"""Give the first disk's filesystems and partitions new UUIDs

Instances made from one image have the same ones; that matters where somebody attaches the disk of one to another. What
can't be changed (LVM, LUKS, RAID) keeps its own. An image that would not boot afterwards is refused before anything is
changed.
"""

from __future__ import annotations

from helper_agent.api import Context, Logger, Option, Task, TaskError
from helper_agent.boot import uuids
from helper_agent.disk import identities, mounts
from helper_agent.disk.signatures import Signature
from helper_agent.root import Root

TASK = Task(
    name="new-uuids",
    phase="devices",
    # While filesystems are small: ext4's checksums are all written anew
    before=("swap-partition", "grow-partition", "grow-filesystem"),
    options=(Option("seed", "str", "what the new UUIDs are made from; another one for each instance"),),
    needs=("seed",),
    timeout=7500,
)


def run(context: Context) -> None:
    """See `Task`"""
    system, seed = context.devices, context.options.text("seed")
    planned = identities.plan(system, seed)
    # Mounted and unmounted, journals are replayed too. What can't be mounted, the step `mount` will say
    with mounts.mount(system, Logger(lambda _level, _text: None), context.run) as mounted:
        root = Root(mounted.path)
        try:
            why = uuids.obstacle(root, planned.texts)
        finally:
            root.close()
    if why:
        raise TaskError(f"The image can't get new UUIDs: {why}", "leave out new_uuids, or change the image")
    for one in planned.left:
        context.log.warning(f"{_where(one)} ({one.type}) keeps its UUID, which can't be changed here")
    identities.change(system, planned, seed, context.run, context.log)
    made = ", ".join(f"{_where(one)} {new}" for one, new in planned.filesystems)
    context.log.info(f"New UUIDs: {made}")


def _where(one: Signature) -> str:
    """What people know it by: the helper's names for disks aren't the instance's"""
    return f"partition {one.number}" if one.number and not one.stack else one.title
