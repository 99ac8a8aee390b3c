"""Change the kernel's arguments

In the boot loader's own files, so that they count at the first boot, and in what these are made from, so that they
outlast a new kernel: grub, GRUB Legacy, boot loader specification entries, extlinux. No program of the image is run.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.boot import arguments, command_line

TASK = Task(
    name="kernel-arguments",
    phase="filesystems",
    options=(Option("words", "list", "arguments to set, or with a - in front to take away"),),
    needs=("words",),
)


def run(context: Context) -> None:
    """See `Task`"""
    changes = arguments.parse(context.options.items("words"))
    found = command_line.change(context.root, context.distro, changes)
    if not found:
        raise TaskError(
            "The image has no boot loader's configuration that is known here",
            "leave out kernel_args: where the hypervisor brings the kernel, its arguments are Ganeti's kernel_args",
        )
    context.log.info(f"Kernel arguments changed in {', '.join(found)}")
