"""Use a serial console

The kernel writes to the screen and to the port, the boot loader shows its menu at both, and there is a login. systemd
starts a login where the kernel has its console; other inits are told of it.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task
from helper_agent.boot import command_line, console

TASK = Task(
    name="serial-console",
    phase="filesystems",
    # The console that the user names has the last word
    before=("kernel-arguments",),
    options=(Option("port", "str", "auto, or a console as the kernel names it: ttyS0,115200n8, hvc0"),),
    needs=("port",),
)


def run(context: Context) -> None:
    """See `Task`"""
    where = console.port(context.options.text("port"), context.variables)
    if where is None:
        raise Skip("the hypervisor gives the instance no console of its own")
    found = command_line.change(context.root, context.distro, (), ("console=tty0", where.argument))
    console.boot_loader(context.root, context.distro, where)
    console.login(context.root, where)
    if not found:
        context.log.warning(
            f"The image has no boot loader's configuration that is known here; tell its kernel {where.argument}"
        )
    context.log.info(f"Serial console {where.argument.partition('=')[2]}")
