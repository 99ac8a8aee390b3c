"""Make grub's configuration anew

By the image's own grub-mkconfig, for images whose grub.cfg is not what their settings say. Nothing else needs it: tasks
that change arguments or UUIDs do so in grub.cfg as well. It runs in namespaces of its own and gets the disks to read.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.boot import regenerate

TASK = Task(
    name="grub-config",
    phase="filesystems",
    after=("serial-console", "kernel-arguments", "follow-uuids"),
    options=(Option("wanted", "bool", "whether to do it"),),
    needs=("wanted",),
    privileges=("image-programs",),
    timeout=600,
)


def run(context: Context) -> None:
    """See `Task`"""
    root = context.root
    program, default = next((each for each in context.distro.grub_mkconfig if root.is_file(each[0])), ("", ""))
    if not program:
        raise TaskError("The image has no grub-mkconfig", "leave out regenerate_grub")
    text = regenerate.configuration(context, program)
    paths = regenerate.targets(context, default)
    for path in paths:
        root.write(path, text)
    context.log.info(f"{program} has made {', '.join(paths)}")
