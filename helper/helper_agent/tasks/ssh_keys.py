"""Install public keys for logging in with ssh

They go where the image's sshd looks (AuthorizedKeysFile), once each, beside those that are there. Owner and modes are
what sshd's StrictModes demands.
"""

from __future__ import annotations

from helper_agent.api import Context, Option, Skip, Task, TaskError
from helper_agent.distros import sshd, users
from helper_agent.root import Root

TASK = Task(
    name="ssh-keys",
    phase="filesystems",
    options=(
        Option("users", "list", "who can log in with the keys", default=["root"]),
        Option("keys", "list", "lines of authorized_keys", secret=True),
    ),
)

DEFAULT = [".ssh/authorized_keys"]
"""The first of sshd's own two."""


def run(context: Context) -> None:
    """Add the keys to each user's file"""
    root = context.root
    if not context.options.items("keys"):
        raise Skip("no keys given")
    settings = sshd.settings(root, context.distro.sshd_config)
    pattern = sshd.first(settings, "AuthorizedKeysFile", DEFAULT)[0]
    if pattern.lower() == "none":
        raise TaskError(
            "The image's sshd reads no key files (AuthorizedKeysFile none)", "change that or give no ssh_keys"
        )
    for user in users.find(root, context.options.items("users")):
        path = sshd.user_path(pattern, user)
        if not context.distro.lasts(root, path):
            raise TaskError(
                f"{path}, where the image's sshd looks for keys, is not to be written", context.distro.immutable
            )
        _install(root, user, path, context.options.items("keys"))
        _warn(context, settings, user)
    context.log.info(f"Keys installed for {', '.join(context.options.items('users'))}")


def _install(root: Root, user: users.User, path: str, keys: tuple[str, ...]) -> None:
    home = user.home.rstrip("/")
    at_home = path.startswith(f"{home}/" if home else "/.")  # a home of / has no part in the system's folders
    if at_home and home:
        root.mkdir(home, 0o700, user.uid, user.gid)
    folder = path.rpartition("/")[0]
    if at_home and folder != home and not root.mkdir(folder, 0o700, user.uid, user.gid) and not root.is_symlink(folder):
        # Not where a symlink leads: that folder may be shared, or one of the system's
        root.chown(folder, user.uid, user.gid)
        root.chmod(folder, 0o700)
    lines = [line for key in keys if (line := key.strip())]
    if at_home:
        root.append_lines(path, lines, mode=0o600, uid=user.uid, gid=user.gid)
    else:  # sshd reads it as the user, who must not be able to change it
        root.append_lines(path, lines, mode=0o644, uid=0, gid=0)


def _warn(context: Context, settings: dict[str, list[list[str]]], user: users.User) -> None:
    if sshd.first(settings, "PubkeyAuthentication", ["yes"])[0].lower() == "no":
        context.log.warning("The image's sshd accepts no keys (PubkeyAuthentication no)")
    if context.root.is_dir(user.home) and context.root.stat(user.home).st_mode & 0o022:
        context.log.warning(f"Others may write to {user.home}, so the image's sshd refuses its keys (StrictModes)")
    permit = sshd.first(settings, "PermitRootLogin", ["prohibit-password"])[0].lower()
    if user.uid == 0 and permit in ("no", "forced-commands-only"):
        context.log.warning(f"The image's sshd lets {user.name} not log in with a key (PermitRootLogin {permit})")
