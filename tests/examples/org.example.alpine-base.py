"""Set up what our Alpine machines have in common

The mirror that packages come from, a login on the serial console, and the services that start at boot.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Root, Task, TaskError

TASK = Task(
    name="org.example.alpine-base",
    phase="filesystems",
    distros=("alpine",),
    options=(
        Option("mirror", "str", "URL of a mirror; default: the image's own"),
        Option("services", "list", "services to start at boot", ["chronyd", "crond"]),
        Option("console", "str", "serial console with a login, empty for none", "ttyS0"),
    ),
    api=1,
)

REPOSITORIES = "/etc/apk/repositories"
RUNLEVEL = "/etc/runlevels/default"


def run(context: Context) -> None:
    """Mirror, console, services"""
    options = context.options
    if mirror := options.text("mirror").rstrip("/"):
        context.root.replace_lines(REPOSITORIES, r"(#?)https?://\S+/(v[0-9.]+|edge)/(\w+)", rf"\1{mirror}/\2/\3")
    if console := options.text("console"):
        getty = f"{console}::respawn:/sbin/getty -L 115200 {console} vt100"
        context.root.replace_lines("/etc/inittab", f"#{console}::.*", None)
        context.root.append_line("/etc/inittab", getty)
        context.root.append_line("/etc/securetty", console)
    for name in options.items("services"):
        _enable(context.root, name)
    context.log.info(f"Started at boot: {', '.join(context.root.listdir(RUNLEVEL))}")


def _enable(root: Root, name: str) -> None:
    """As `rc-update add NAME default`"""
    if not root.is_file(f"/etc/init.d/{name}"):
        raise TaskError(f"The image has no service {name}", "install its package in the image")
    root.symlink(f"/etc/init.d/{name}", f"{RUNLEVEL}/{name}")
