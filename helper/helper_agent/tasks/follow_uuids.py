"""Tell fstab, boot loader and initramfs the new UUIDs

In every file that names one of those that the task `new-uuids` has changed.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task
from helper_agent.boot import command_line, uuids
from helper_agent.boot.arguments import Change
from helper_agent.disk import identities

TASK = Task(
    name="follow-uuids",
    phase="filesystems",
    # The user's arguments have the last word
    before=("kernel-arguments",),
    options=(Option("seed", "str", "as of the task new-uuids"),),
    needs=("seed",),
)


def run(context: Context) -> None:
    """See `Task`"""
    root = context.root
    planned = identities.plan(context.devices, context.options.text("seed"))
    found = uuids.follow(root, planned.texts)
    if new := next((new for one, new in planned.filesystems if one.type == "swap"), ""):
        _resume(context, new)
    context.log.info(f"New UUIDs in {', '.join(found) or 'no file'}")


def _resume(context: Context, swap: str) -> None:
    """An initramfs of initramfs-tools has the UUID of the swap in it, and waits half a minute for it at each boot"""
    if context.root.is_dir("/etc/initramfs-tools"):
        command_line.change(context.root, context.distro, [Change(f"resume=UUID={swap}")])
