"""The image's groups: group(5) and gshadow(5)"""

from __future__ import annotations

from helper_agent.distros import users
from helper_agent.records import NamedTuple
from helper_agent.root import Root

FILE = "/etc/group"
SHADOW = "/etc/gshadow"


class Group(NamedTuple):
    """One group"""

    name: str
    gid: int
    members: tuple[str, ...]


def read(root: Root) -> dict[str, Group]:
    """Name -> group; of two lines with one name the first counts

    Raises:
        TaskError: the file is a trap
    """
    groups: dict[str, Group] = {}
    for line in root.read_text_or(FILE).split("\n"):
        fields = line.rstrip("\r").split(":")
        if len(fields) == 4 and fields[0] and users.is_id(fields[2]):
            members = tuple(filter(None, fields[3].split(",")))
            groups.setdefault(fields[0], Group(fields[0], int(fields[2]), members))
    return groups


def add_member(root: Root, group: str, user: str) -> bool:
    """Make the user a member of a group that is there; whether it was none

    Raises:
        TaskError: one of the files is a trap
    """
    changed = False
    for path in (FILE, SHADOW):
        if root.is_file(path):
            changed |= root.edit(path, lambda text: _with_member(text, group, user))
    return changed


def _with_member(text: str, group: str, user: str) -> str:
    """Both files have four fields, the members in the last one"""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        fields = line.rstrip("\r").split(":")
        if fields[0] == group and len(fields) == 4:
            members = list(filter(None, fields[3].split(",")))
            if user not in members:
                end = "\r" if line.endswith("\r") else ""
                lines[number] = ":".join((*fields[:3], ",".join((*members, user)))) + end
            break
    return "\n".join(lines)
