"""Set passwords

The node hashes the password, in several ways of which the image's crypt(3) may not know all; the first one it knows is
taken. Setting a password unlocks a locked account. An account that has expired stays so, with a warning.
"""

from __future__ import annotations

import time

from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.distros import cloud_init, shadow, users

TASK = Task(
    name="password",
    phase="filesystems",
    options=(
        Option("users", "list", "whose password to set", default=["root"]),
        Option("hashes", "list", "crypt(5) hashes of one password, the preferred method first", secret=True),
    ),
)

PLAUSIBLE_SINCE = 18262
"""2020-01-01 in days: a helper without a clock starts at 1970, and a `last change` of 0 would demand a new password."""


def run(context: Context) -> None:
    """Put the hash into shadow, or into passwd where the image has no shadow"""
    root = context.root
    if not context.options.items("hashes"):
        raise Skip("no password given")
    wanted = users.find(root, context.options.items("users"))
    hashed = next((each for each in context.options.items("hashes") if context.distro.verifies(root, each)), None)
    if hashed is None:
        raise TaskError(
            f"{context.distro.name} in the image does not know the method of the password's hash",
            "give password, or a password_hash of method $6$ (sha512crypt)",
            code="E-OPTION",
        )
    today = int(time.time() // 86400)
    for user in wanted:
        expired = shadow.set_password(root, user.name, hashed, today if today >= PLAUSIBLE_SINCE else None)
        if expired is not None and expired <= today:
            context.log.warning(f"The account of {user.name} has expired; its password was set, but nobody can log in")
        if user.shell.rpartition("/")[2] in users.NO_LOGIN:
            context.log.warning(f"The shell of {user.name} is {user.shell}, so nobody can log in as this user")
    # cloud-init would lock the user that it makes by default, even one that is there
    cloud_init.pin(root, "password", "system_info: {default_user: {lock_passwd: false}}")
    context.log.info(f"Password set for {', '.join(user.name for user in wanted)}")
