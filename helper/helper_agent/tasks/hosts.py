"""Add lines to /etc/hosts

Between two comments, so that a second run replaces them. The system's own name is the task `hostname`'s.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task
from helper_agent.distros import cloud_init, lasting
from helper_agent.net import hosts

TASK = Task(
    name="hosts",
    phase="filesystems",
    after=("hostname",),
    options=(Option("lines", "list", "lines of hosts(5), an address and its names each"),),
    needs=("lines",),
)

FILE = "/etc/hosts"


def run(context: Context) -> None:
    """Write them, at the file's end where there were none of ours"""
    root, lines = context.root, context.options.items("lines")
    lasting.need(context, FILE)
    root.write(FILE, hosts.with_block(root.read_text_or(FILE, hosts.EMPTY), lines))
    # images of Debian's cloud team have it on: at each boot the file would be made anew from a template
    cloud_init.pin(root, "hosts", "manage_etc_hosts: false")
    context.log.info(f"{len(lines)} line{'s' if len(lines) > 1 else ''} in {FILE}")
