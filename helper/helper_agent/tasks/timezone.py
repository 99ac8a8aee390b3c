"""Set the time zone

/etc/localtime becomes a link to the zone's file in the image, as timedatectl(1) makes it, and files that have the
zone's name get it, where they are there.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.distros import lasting
from helper_agent.root import Root

TASK = Task(
    name="timezone",
    phase="filesystems",
    options=(Option("zone", "str", "the zone's name in the time zone database"),),
    needs=("zone",),
)

LOCALTIME = "/etc/localtime"
ZONES = "/usr/share/zoneinfo"
MAGIC = b"TZif"
"""tzfile(5)."""
UTC = ("UTC", "Etc/UTC", "Universal", "Zulu")
"""What a system without /etc/localtime has."""


def run(context: Context) -> None:
    """Write the link and the names"""
    root, distro, zone = context.root, context.distro, context.options.text("zone")
    file = f"{ZONES}/{zone}"
    if distro.immutable:
        raise lasting.stays(context, "The time zone")
    if root.is_file(file) and root.read(file).startswith(MAGIC):
        _link(root, file)
    elif zone in UTC and not root.is_dir(ZONES):
        root.remove(LOCALTIME)
    else:
        raise _missing(root, zone)
    for path in distro.zone_files:
        if root.is_file(path):
            root.write(path, f"{zone}\n")
    path, key = distro.zone_key
    if path and root.is_file(path):
        root.set_key(path, key, f'"{zone}"')
    context.log.info(f"Time zone {zone}")


def _link(root: Root, file: str) -> None:
    if root.is_dir("/etc") and root.stat("/etc").st_dev != root.stat(file).st_dev:
        # /usr on a filesystem of its own may be mounted after the first program has asked for the time
        root.write(LOCALTIME, root.read(file), mode=0o644, follow=False)
        return
    target = f"..{file}"
    if not root.is_symlink(LOCALTIME) or root.readlink(LOCALTIME) != target:
        root.symlink(target, LOCALTIME)


def _missing(root: Root, zone: str) -> TaskError:
    if not root.is_dir(ZONES):
        return TaskError(
            f"The image has no time zones, so {zone} can't be set",
            "install the package tzdata in the image, or leave timezone out",
        )
    return TaskError(
        f"The image doesn't know the time zone {zone!r}",
        "look at its spelling (timedatectl list-timezones), or install a newer tzdata in the image",
        code="E-OPTION",
    )
