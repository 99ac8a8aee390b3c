"""Set passwords

The node hashes the password, in several ways of which the image's crypt(3) may not know all; the first one it knows is
taken. Setting a password unlocks a locked account. An account that has expired stays so, with a warning.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.distros import cloud_init, shadow, users

TASK = Task(
    name="password",
    phase="filesystems",
    options=(
        Option("users", "list", "whose password to set", default=["root"]),
        Option("hashes", "list", "crypt(5) hashes of one password, the preferred method first", secret=True),
        Option("root_hashes", "list", "the same of another one, for root alone", secret=True),
    ),
    needs=("hashes", "root_hashes"),
)

PLAUSIBLE_SINCE = 18262
"""2020-01-01 in days: a helper without a clock starts at 1970, and a `last change` of 0 would demand a new password."""


def run(context: Context) -> None:
    """Put the hash into shadow, or into passwd where the image has no shadow"""
    root, options = context.root, context.options
    names = [name for name in options.items("users") if not options.items("root_hashes") or name != "root"]
    if options.items("hashes") and not names:
        raise TaskError(
            "The password is for nobody: root has one of its own (root_password), and users names nobody else",
            "set users to somebody else, or give one of the two passwords",
            code="E-OPTION",
        )
    wanted = [(name, options.items("hashes")) for name in names if options.items("hashes")]
    wanted += [("root", hashes) for hashes in (options.items("root_hashes"),) if hashes]
    found = users.find(root, [name for name, _ in wanted])
    hashed_by_name = {name: _known(context, hashes) for name, hashes in wanted}
    today = int(time.time() // 86400)
    for user in found:
        hashed = hashed_by_name[user.name]
        expired = shadow.set_password(root, user.name, hashed, today if today >= PLAUSIBLE_SINCE else None)
        if expired is not None and expired <= today:
            context.log.warning(f"The account of {user.name} has expired; its password was set, but nobody can log in")
        if user.shell.rpartition("/")[2] in users.NO_LOGIN:
            context.log.warning(f"The shell of {user.name} is {user.shell}, so nobody can log in as this user")
    cloud_init.keep_password(root, [user.name for user in found])
    if not context.distro.keeps_passwords(root):
        context.log.warning(f"The password lasts until the first boot: {context.distro.immutable}")
    context.log.info(f"Password set for {', '.join(user.name for user in found)}")


def _known(context: Context, hashes: Sequence[str]) -> str:
    """The first of one password's hashes whose method the image knows"""
    for each in hashes:
        if context.distro.verifies(context.root, each):
            return each
    raise TaskError(
        f"{context.distro.name} in the image does not know the method of the password's hash",
        "give password, or a password_hash of method $6$ (sha512crypt)",
        code="E-OPTION",
    )
