"""The image's users, from its passwd(5)"""

from __future__ import annotations

from collections.abc import Sequence

from helper_agent.api import TaskError
from helper_agent.distros import nss_files
from helper_agent.records import NamedTuple
from helper_agent.root import Root

FILE = "/etc/passwd"
NO_LOGIN = ("nologin", "false", "sync")
"""Names of shells that are none."""
NAMES_SHOWN = 10


class User(NamedTuple):
    """One user; `home` is absolute, "/" where the file has none"""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    @property
    def logs_in(self) -> bool:
        """Whether people log in as this user: root, or not one of the system's own, and with a shell"""
        person = self.uid == 0 or 1000 <= self.uid < 60000  # login.defs UID_MIN, UID_MAX
        return person and self.shell.rpartition("/")[2] not in NO_LOGIN


def read(root: Root) -> dict[str, User]:
    """Name -> user, as getpwnam(3) finds them; one whose number is -1 can't be used, and is left out

    Raises:
        TaskError: passwd is not a regular file
    """
    users: dict[str, User] = {}
    for name, fields in nss_files.entries(root.read_text_or(FILE), nss_files.passwd).items():
        uid, gid = (nss_files.number(field) for field in fields[2:4])
        if uid is not None and gid is not None and nss_files.NO_ID not in (uid, gid):
            users[name] = User(name, uid, gid, fields[5] if fields[5].startswith("/") else "/", fields[6])
    return users


def find(root: Root, names: Sequence[str], parameter: str = "users") -> list[User]:
    """The users called `names`, all or none

    Args:
        parameter: the OS parameter that names them, for an error

    Raises:
        TaskError: E-USER when one does not exist in the image
    """
    users = read(root)
    for name in names:
        if name not in users:
            there = [user.name for user in users.values() if user.logs_in]
            shown = ", ".join(there[:NAMES_SHOWN]) + (", ..." if len(there) > NAMES_SHOWN else "")
            raise TaskError(
                f"The user {name!r} does not exist in the image",
                f"set {parameter} to one of: {shown}, or give create_users=yes" if there else "give create_users=yes",
                code="E-USER",
            )
    return [users[name] for name in dict.fromkeys(names)]
