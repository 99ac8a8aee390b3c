"""Install public keys for logging in with ssh

They go where the image's sshd looks (AuthorizedKeysFile), once each, beside those that are there. Owner and modes are
what sshd's StrictModes demands. A key for one user alone has the name before it: `admin: ssh-ed25519 ...`.
"""

from __future__ import annotations

import re

from helper_agent.api import Context, Option, Task, TaskError
from helper_agent.distros import shadow, sshd, users
from helper_agent.root import Root

TASK = Task(
    name="ssh-keys",
    phase="filesystems",
    options=(
        Option("users", "list", "who can log in with the keys", default=["root"]),
        Option("keys", "list", "lines of authorized_keys, for one user alone with `USER:` before it", secret=True),
    ),
    needs=("keys",),
)

FOR = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]{0,31}):[ \t]*")
"""The user for whom a line is; no type of a key and no option of sshd(8) has a colon behind it."""

DEFAULT = [".ssh/authorized_keys"]
"""The first of sshd's own two."""


def run(context: Context) -> None:
    """Add the keys to each user's file"""
    root = context.root
    settings = sshd.settings(root, context.distro.sshd_config)
    pattern = sshd.first(settings, "AuthorizedKeysFile", DEFAULT)[0]
    if pattern.lower() == "none":
        raise TaskError(
            "The image's sshd reads no key files (AuthorizedKeysFile none)", "change that or give no ssh_keys"
        )
    keys = _by_user(context.options.items("keys"), context.options.items("users"))
    for user in users.find(root, list(keys)):
        path = sshd.user_path(pattern, user)
        if not context.distro.lasts(root, path):
            raise TaskError(
                f"{path}, where the image's sshd looks for keys, is not to be written", context.distro.immutable
            )
        _install(root, user, path, keys[user.name])
        _open(context, settings, user)
        _warn(context, settings, user)
    context.log.info(f"Keys installed for {', '.join(keys)}")


def _by_user(lines: tuple[str, ...], everybody: tuple[str, ...]) -> dict[str, list[str]]:
    """Name -> lines"""
    keys: dict[str, list[str]] = {}
    for line in map(str.strip, lines):
        match = FOR.match(line)
        for name in (match[1],) if match else everybody:
            keys.setdefault(name, []).append(line[match.end() :] if match else line)
    return keys


def _install(root: Root, user: users.User, path: str, lines: list[str]) -> None:
    home = user.home.rstrip("/")
    at_home = path.startswith(f"{home}/" if home else "/.")  # a home of / has no part in the system's folders
    if at_home:
        _refuse_led_away(root, user, home, path)
    if at_home and home:
        root.mkdir(home, 0o700, user.uid, user.gid)
    folder = path.rpartition("/")[0]
    if at_home and folder != home and not root.mkdir(folder, 0o700, user.uid, user.gid) and not root.is_symlink(folder):
        # Not where a symlink leads: that folder may be shared, or one of the system's
        root.chown(folder, user.uid, user.gid)
        root.chmod(folder, 0o700)
    if at_home:
        root.append_lines(path, lines, mode=0o600, uid=user.uid, gid=user.gid)
    else:  # sshd reads it as the user, who must not be able to change it
        root.append_lines(path, lines, mode=0o644, uid=0, gid=0)


def _refuse_led_away(root: Root, user: users.User, home: str, path: str) -> None:
    """Who has been in the image before may have laid a symlink to what is not theirs, and would own that; what root has
    laid is followed

    Raises:
        TaskError
    """
    names = path[len(home) :].strip("/").split("/")
    for count in range(len(names)):
        place = f"{home}/{'/'.join(names[: count + 1])}"
        if user.uid == 0 or not root.is_symlink(place) or root.owner(place, follow=False)[0] == 0:
            continue
        if not root.exists(place) or root.owner(place)[0] != user.uid:
            raise TaskError(
                f"{place} in the image is a symlink to what doesn't belong to {user.name}, so no keys are put there",
                "remove the symlink in the image, or make its target that user's",
            )


def _open(context: Context, settings: dict[str, list[list[str]]], user: users.User) -> None:
    """Without PAM, sshd takes a `!` in the place of a password for an account that is closed to keys, too"""
    field = shadow.of(context.root, user.name) or ""
    if not field.startswith("!") or not settings or sshd.first(settings, "UsePAM", ["no"])[0].lower() == "yes":
        return
    if field.strip("!*"):
        context.log.warning(f"The account of {user.name} is locked, so the image's sshd refuses its keys")
    else:
        shadow.replace(context.root, user.name, "*")


def _warn(context: Context, settings: dict[str, list[list[str]]], user: users.User) -> None:
    if sshd.first(settings, "PubkeyAuthentication", ["yes"])[0].lower() == "no":
        context.log.warning("The image's sshd accepts no keys (PubkeyAuthentication no)")
    if context.root.is_dir(user.home) and context.root.stat(user.home).st_mode & 0o022:
        context.log.warning(f"Others may write to {user.home}, so the image's sshd refuses its keys (StrictModes)")
    permit = sshd.first(settings, "PermitRootLogin", ["prohibit-password"])[0].lower()
    if user.uid == 0 and permit in ("no", "forced-commands-only"):
        context.log.warning(f"The image's sshd lets {user.name} not log in with a key (PermitRootLogin {permit})")
