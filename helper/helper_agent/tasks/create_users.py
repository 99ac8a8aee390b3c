"""Make the users that the image lacks

As useradd(8) does it: with a group of the same name, a home filled from /etc/skel, and no password. Users that are
there stay as they are.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task
from helper_agent.distros import new_users, users

TASK = Task(
    name="create-users",
    phase="filesystems",
    before=("password", "ssh-keys", "sudo"),
    options=(
        Option("create", "bool", "whether to do it"),
        Option("users", "list", "who gets the password and the keys"),
        Option("more", "list", "who is named elsewhere"),
    ),
    needs=("create",),
)


def run(context: Context) -> None:
    """See `Task`"""
    root, options = context.root, context.options
    there = users.read(root)
    wanted = dict.fromkeys((*options.items("users"), *options.items("more")))
    lacking = [name for name in wanted if name not in there]
    if not lacking:
        raise Skip("the image has all of them")
    for name in lacking:
        made = new_users.add(root, name)
        context.log.info(f"Made the user {name}: number {made.uid}, home {made.home}, shell {made.shell}")
