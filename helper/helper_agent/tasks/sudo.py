"""Let users administer the system, without a password

By sudo, in a file of its own; where the image has doas instead, by that. The users become members of the system's group
of administrators, too, where it has one: other programs go by that.
"""

from __future__ import annotations

import re

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.distros import groups, lasting, users
from helper_agent.distros.users import User
from helper_agent.root import Root

TASK = Task(
    name="sudo",
    phase="filesystems",
    after=("create-users",),
    options=(Option("names", "list", "users who may do anything"),),
    needs=("names",),
)

FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin")
SUDOERS = ("/etc/sudoers", "/usr/etc/sudoers")
"""The first that is there counts."""
SUDOERS_D = "/etc/sudoers.d"
INCLUDED = re.compile(rf"^[@#]includedir[ \t]+\"?{SUDOERS_D}/?\"?[ \t]*$", re.M)
INCLUDE = f"#includedir {SUDOERS_D}"
"""As every version of sudo reads it; newer ones write @includedir."""
DOAS = "/etc/doas.conf"
DOAS_D = "/etc/doas.d"
"""Read by Alpine's doas."""
FILE = "90-instance-helper"
HEAD = "# Written by ganeti-instance-helper\n"
PLAIN = re.compile("[a-z_][A-Za-z0-9_.-]*")
"""What can be nothing but a user in sudoers(5): ALL and ADMINS are aliases, Defaults and User_Alias its own words."""


def run(context: Context) -> None:
    """Write the rules, and the groups"""
    root, distro = context.root, context.distro
    wanted = users.find(root, context.options.items("names"), "sudo")
    lasting.need(context, SUDOERS[0], DOAS)
    how = _rules(root, wanted)
    there = groups.read(root)
    group = next((name for name in distro.admin_groups if name in there), "")
    for user in wanted if group else ():
        groups.add_member(root, group, user.name)
    names = ", ".join(user.name for user in wanted)
    context.log.info(f"{how} for {names}{f', members of {group}' if group else ''}")


def _rules(root: Root, wanted: list[User]) -> str:
    """Write them; the program they are for"""
    if _has(root, "sudo"):
        root.mkdir(SUDOERS_D, 0o750)
        rules = (f"{_sudoer(user)} ALL=(ALL:ALL) NOPASSWD: ALL\n" for user in wanted)
        root.install(f"{SUDOERS_D}/{FILE}", HEAD + "".join(rules), mode=0o440)
        main = next((path for path in SUDOERS if root.is_file(path)), "")
        if main and not INCLUDED.search(root.read_text(main)):
            root.append_line(main, INCLUDE)
        return "sudo"
    if _has(root, "doas"):
        lines = [f"permit nopass {user.name}" for user in wanted]
        if root.is_dir(DOAS_D):
            root.install(f"{DOAS_D}/{FILE}.conf", HEAD + "\n".join((*lines, "")), mode=0o600)
        else:
            root.append_lines(DOAS, lines, mode=0o600, uid=0, gid=0)
        return "doas"
    raise TaskError("The image has neither sudo nor doas", "install one of them in the image, or give no sudo")


def _sudoer(user: User) -> str:
    return user.name if PLAIN.fullmatch(user.name) else f"#{user.uid}"


def _has(root: Root, program: str) -> bool:
    return any(root.is_file(f"{folder}/{program}") for folder in FOLDERS)
