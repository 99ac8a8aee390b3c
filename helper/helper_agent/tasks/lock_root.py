"""Take root's password away

No password fits root's account any more; root still logs in by key. The field gets a `*`: behind a `!` an sshd without
PAM would refuse keys, too.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task
from helper_agent.distros import logins, shadow

TASK = Task(
    name="lock-root",
    phase="filesystems",
    after=("create-users", "password", "ssh-keys"),
    options=(Option("lock", "bool", "whether to do it"),),
    needs=("lock",),
)

LOCKED = "*"


def run(context: Context) -> None:
    """Change the field in shadow, or in passwd where that counts"""
    root = context.root
    if not shadow.has_password(shadow.of(root, "root")):
        raise Skip("root has no password in the image")
    shadow.replace(root, "root", LOCKED)
    context.log.info("Root's password is locked")
    if not context.distro.keeps_passwords(root):
        context.log.warning(f"It is until the first boot: {context.distro.immutable}")
    if not logins.by_password(root) and not logins.by_key(root, context.distro):
        context.log.warning(
            "Nobody can log in: root's password is locked, and no user in the image has a password or an SSH key"
        )
