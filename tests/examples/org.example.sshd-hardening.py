"""Harden the image's sshd

No passwords, no forwarding of X11, few attempts, root by key only or not at all. It refuses to lock everybody out.
"""

from __future__ import annotations

import re

from helper_agent.api import Context, Option, Root, Skip, Task, TaskError

TASK = Task(
    name="org.example.sshd-hardening",
    phase="filesystems",
    after=("ssh-keys",),
    options=(
        Option("root_login", "str", "prohibit-password (by key only), no, or yes", "prohibit-password"),
        Option("passwords", "bool", "whether passwords are accepted", False),
        Option("attempts", "int", "attempts before sshd hangs up", 3),
        Option("allow_groups", "list", "groups whose users may log in; default: all"),
    ),
    api=1,
)

DROP_IN = "/etc/ssh/sshd_config.d/00-hardening.conf"
"""For each keyword sshd takes the first value that it reads, so this comes before all others."""
INCLUDED = re.compile(r"^[ \t]*Include[ \t]+(.*[ \t])?/etc/ssh/sshd_config\.d/\*\.conf", re.I | re.M)
PEOPLE = re.compile("[1-5][0-9]{3,4}")
"""Numbers of people's accounts: UID_MIN to UID_MAX of login.defs(5) are 1000 to 60000 everywhere."""
POLICIES = ("prohibit-password", "no", "yes")


def run(context: Context) -> None:
    """Write a file that sshd_config includes, or change sshd_config where it includes none"""
    root, config = context.root, context.distro.sshd_config
    if not root.is_file(config):
        raise Skip("the image has no OpenSSH server")
    settings = _settings(context)
    if settings["PermitRootLogin"] == "no" and not _others(root):
        raise TaskError("Nobody could log in: root may not, and there is no other user", "leave root_login out")
    if INCLUDED.search(root.read_text(config)):
        root.install(DROP_IN, "".join(f"{name} {value}\n" for name, value in settings.items()), mode=0o600)
    else:
        for name, value in settings.items():
            root.set_key(config, name, value, separator=" ", ignore_case=True)
    context.log.info(f"sshd: {', '.join(f'{name} {value}' for name, value in settings.items())}")


def _settings(context: Context) -> dict[str, str]:
    """Keyword -> value, of sshd_config(5)"""
    options = context.options
    if options.text("root_login") not in POLICIES:
        raise TaskError(
            f"root_login={options.text('root_login')} is no policy",
            f"give one of {', '.join(POLICIES)}",
            code="E-OPTION",
        )
    passwords = "yes" if options.flag("passwords") else "no"
    groups = " ".join(options.items("allow_groups"))
    return {
        "PermitRootLogin": options.text("root_login"),
        "PasswordAuthentication": passwords,
        "KbdInteractiveAuthentication": passwords,
        "MaxAuthTries": str(options.number("attempts")),
        "X11Forwarding": "no",
        **({"AllowGroups": groups} if groups else {}),
    }


def _others(root: Root) -> list[str]:
    """People who have a shell; a service's account may have one too, and nobody to log in to it"""
    rows = [line.split(":") for line in root.read_text_or("/etc/passwd").splitlines()]
    return [row[0] for row in rows if len(row) == 7 and row[6].endswith("sh") and PEOPLE.fullmatch(row[2])]
