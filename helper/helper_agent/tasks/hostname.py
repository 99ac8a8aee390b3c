"""Set the hostname

Where and how is the distribution's affair. On Debian the hostname file gets the name's first label and /etc/hosts the
whole name beside it, as its installer does it: `hostname` then prints `web1` and `hostname --fqdn` prints
`web1.example.org`. The image's old name goes away.
"""

from __future__ import annotations

import re

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.distros import cloud_init, lasting
from helper_agent.net import hosts

TASK = Task(
    name="hostname",
    phase="filesystems",
    options=(Option("name", "str", "the system's name, whole or first label only; default: the instance's name"),),
    actions=("create", "rename"),
)

HOSTS = "/etc/hosts"
NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I)
"""RFC 1123 section 2.1."""


def run(context: Context) -> None:
    """Write the name's lines in hosts and the hostname file"""
    root, distro = context.root, context.distro
    name = (context.options.text("name") or context.instance.name).rstrip(".")
    if not NAME.fullmatch(name):
        raise TaskError(f"{name!r} is no valid hostname", "use letters, digits, dots and hyphens", code="E-OPTION")
    file, key = distro.hostname_file, distro.hostname_key
    if not distro.lasts(root, file):
        raise lasting.stays(context, "The hostname")
    old = distro.hostname_in(root.read_text_or(file))
    # hosts first: after a failure between the two, the old name is still known and a second run completes both
    if distro.lasts(root, HOSTS):
        root.write(HOSTS, hosts.renamed(root.read_text_or(HOSTS, hosts.EMPTY), old, name, distro.own_address))
    written = name if distro.hostname_is_fqdn else name.partition(".")[0]
    if key:
        root.set_key(file, key, f'"{written}"')
    for path in (() if key else (file,)) + tuple(path for path in distro.hostname_also if root.exists(path)):
        root.write(path, f"{written}\n")
    cloud_init.pin(root, "hostname", "preserve_hostname: true")
