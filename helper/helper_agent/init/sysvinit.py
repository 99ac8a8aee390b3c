"""SysV init, and upstart with the same scripts (EL 6, Devuan, old Debian): links in the runlevels' folders

Debian's startpar runs only what stands in /etc/init.d/.depend.start too, so a new service is added there.
"""

from __future__ import annotations

import re

from helper_agent.api import TaskError
from helper_agent.root import Root

NAME = "SysV init"
LAYOUTS = (("/etc/rc.d/init.d", "/etc/rc.d", "../init.d/"), ("/etc/init.d", "/etc/init.d", "../"))
"""Folder of the scripts, folder of those for the runlevels, and how a link there leads to a script: Red Hat, SUSE."""
DEBIAN = ("/etc/init.d", "/etc", "../init.d/")
LEVELS = "2345"
ORDER, ORDER_LATE = 20, 99
"""Numbers of links, where the script says nothing (update-rc.d's default) and for what has to come last."""
DEPENDS = "/etc/init.d/.depend.start"
SCRIPT = """#!/bin/sh
# Written by ganeti-instance-helper
# chkconfig: 2345 99 01
# description: {description}
### BEGIN INIT INFO
# Provides:          {name}
# Required-Start:    $all
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: {description}
### END INIT INFO

case "$1" in
start)
	"{path}" && rm -f {levels}/rc?.d/S??{name}
	;;
esac
"""


def installed(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return root.is_file(f"{_layout(root)[0]}/{service}")


def is_enabled(root: Root, service: str) -> bool:
    """See `base.Init`"""
    return bool(_links(root, service, "S"))


def enable(root: Root, service: str) -> bool:
    """See `base.Init`; in the runlevels that its script names"""
    scripts, folder, up = _layout(root)
    if not installed(root, service):
        raise TaskError(f"The image has no service {service} in {scripts}", "install it in the image")
    if is_enabled(root, service):
        return False
    levels, order = _asked(root.read_text(f"{scripts}/{service}"))
    for level in levels:
        for link in root.glob(f"{folder}/rc{level}.d/K??{_name(service)}"):
            root.remove(link)
        root.symlink(f"{up}{service}", f"{folder}/rc{level}.d/S{order:02}{service}")
    _depend(root, service)
    return True


def disable(root: Root, service: str) -> bool:
    """See `base.Init`; as update-rc.d(8) does it, so that an upgrade of the package doesn't enable it again"""
    links = _links(root, service, "S")
    for link in links:
        folder, _, name = link.rpartition("/")
        order = max(1, 100 - int(name[1:3])) if name[1:3].isdigit() else 1
        root.remove(link)
        if not folder.endswith("S.d"):
            root.symlink(f"{_layout(root)[2]}{service}", f"{folder}/K{order:02}{service}")
    return bool(links)


def install_oneshot(root: Root, name: str, description: str, path: str) -> None:
    """See `base.Init`"""
    scripts, levels, _ = _layout(root)
    text = SCRIPT.format(name=name, description=description, path=path, levels=levels)
    root.install(f"{scripts}/{name}", text, mode=0o755)
    enable(root, name)


def _layout(root: Root) -> tuple[str, str, str]:
    return next((each for each in LAYOUTS if root.is_dir(each[0]) and root.is_dir(f"{each[1]}/rc3.d")), DEBIAN)


def _name(service: str) -> str:
    """`service` in a pattern: only its own characters"""
    return re.sub(r"([*?[])", r"[\1]", service)


def _links(root: Root, service: str, kind: str) -> list[str]:
    return root.glob(f"{_layout(root)[1]}/rc[2345S].d/{kind}??{_name(service)}")


def _asked(script: str) -> tuple[str, int]:
    """Runlevels and number that the script's header asks for, chkconfig's form or LSB's"""
    if found := re.search(r"^#[ \t]*chkconfig:[ \t]*([0-6-]+)[ \t]+(\d\d?)\b", script, re.M):
        return found[1] if found[1] != "-" else LEVELS, int(found[2])
    order = ORDER_LATE if re.search(r"^# Required-Start:.*\$all\b", script, re.M) else ORDER
    levels = re.search(r"^# Default-Start:([ \t0-9S]*)$", script, re.M)
    return "".join(levels[1].split()) if levels and levels[1].split() else LEVELS, order


def _depend(root: Root, service: str) -> None:
    text = root.read_text_or(DEPENDS)
    first, newline, rest = text.partition("\n")
    if first.startswith("TARGETS =") and service not in first.split():
        # after all that is there: startpar starts a service once those behind its colon are up
        others = " ".join(first.split()[2:])
        root.write(DEPENDS, f"{first} {service}{newline}{rest}{service}: {others}\n")
