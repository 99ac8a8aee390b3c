"""Say whether sshd takes passwords

In a file that sshd_config includes before all others, since for each keyword sshd takes the first value that it reads;
in sshd_config itself where it includes none. With passwords root may use one, too, but only where this run gives root
a password: what an image's own root can do is not widened.
"""

from __future__ import annotations

from collections.abc import Mapping

from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.distros import cloud_init, lasting, logins, sshd

TASK = Task(
    name="ssh-login",
    phase="filesystems",
    after=("password", "ssh-keys", "lock-root"),
    options=(
        Option("passwords", "str", "yes or no"),
        Option("users", "list", "who gets a password", default=["root"]),
        Option("users_have_one", "bool", "whether they do"),
        Option("root_has_one", "bool", "whether root gets one of its own"),
    ),
    needs=("passwords",),
)

PASSWORDS = "PasswordAuthentication"
# what asks for the password in its own words; of both names sshd before 8.7 has an option of its own
ASKING = ("KbdInteractiveAuthentication", "ChallengeResponseAuthentication")


def run(context: Context) -> None:
    """Write the keywords, and see whether they do what they should"""
    root, config, options = context.root, context.distro.sshd_config, context.options
    passwords = options.text("passwords")
    if passwords not in ("yes", "no"):
        raise TaskError(f"passwords={passwords!r} is neither yes nor no", "give one of them", code="E-OPTION")
    if not root.is_file(sshd.read_from(root, config)):
        raise Skip("the image has no OpenSSH server")
    lasting.need(context, config)
    wanted = {PASSWORDS: passwords}
    if passwords == "no":
        wanted |= dict.fromkeys(ASKING, "no")
    elif options.flag("root_has_one") or (options.flag("users_have_one") and "root" in options.items("users")):
        wanted["PermitRootLogin"] = "yes"
    sshd.write(root, config, wanted)
    cloud_init.pin(root, "ssh-login", f"ssh_pwauth: {'true' if passwords == 'yes' else 'false'}")
    context.log.info(f"sshd: {', '.join(f'{keyword} {value}' for keyword, value in wanted.items())}")
    _warn(context, passwords, wanted)


def _warn(context: Context, passwords: str, wanted: Mapping[str, str]) -> None:
    root, config = context.root, context.distro.sshd_config
    for match in sshd.exceptions(root, config, wanted):
        context.log.warning(f"The image's sshd has an exception of its own, which stays: {match}")
    if passwords == "no" and not logins.by_key(root, context.distro):
        context.log.warning("Nobody can log in by ssh: sshd takes no passwords, and no user in the image has a key")
    methods = sshd.first(sshd.settings(root, config), "AuthenticationMethods", ["any"])
    if passwords == "yes" and not any("password" in word or word == "any" for word in methods):
        context.log.warning(f"The image's sshd wants other ways to log in: AuthenticationMethods {' '.join(methods)}")
