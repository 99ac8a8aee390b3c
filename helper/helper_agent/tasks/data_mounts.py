"""Mount data disks

By UUID in fstab, with `nofail`: an instance whose data disk is gone starts without it. The folder is made where it
lacks.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task
from helper_agent.disk import data, fstab_edit
from helper_agent.disk.fstab import Entry
from helper_agent.root import Root

TASK = Task(
    name="data-mounts",
    phase="filesystems",
    options=(Option("disks", "list", "data disks: INDEX PATH TYPE UUID, and a LABEL"),),
    needs=("disks",),
)

FSTAB = "/etc/fstab"


def run(context: Context) -> None:
    """The folder first, so that a line in fstab never leads nowhere"""
    root = context.root
    for one in data.wanted(context.options.items("disks")):
        if not root.mkdir(one.path) and root.listdir(one.path):
            context.log.warning(f"What the image has in {one.path} will be hidden by disk {one.disk}")
        _mount(root, one)


def _mount(root: Root, one: data.Wanted) -> None:
    entry = Entry(f"UUID={one.uuid}", one.path, one.type, ("defaults", "nofail"))
    check = 2 if one.type == "ext4" else 0  # fsck does nothing for the others
    root.edit(FSTAB, lambda text: fstab_edit.add(text, entry, check=check))
