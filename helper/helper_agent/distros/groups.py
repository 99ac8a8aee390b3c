"""The image's groups: group(5) and gshadow(5)"""

from __future__ import annotations

from functools import partial

from helper_agent.distros import nss_files
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
    """Name -> group, as getgrnam(3) finds them; one whose number is -1 can't be used, and is left out

    Raises:
        TaskError: the file is a trap
    """
    groups: dict[str, Group] = {}
    for name, fields in nss_files.entries(root.read_text_or(FILE), nss_files.group).items():
        gid = nss_files.number(fields[2])
        if gid is not None and gid != nss_files.NO_ID:
            groups[name] = Group(name, gid, nss_files.members(fields[3]))
    return groups


def add_member(root: Root, group: str, user: str) -> bool:
    """Make the user a member of a group that is there; whether it was none

    Raises:
        TaskError: one of the files is a trap
    """
    changed = False
    for path, parser in ((FILE, nss_files.group), (SHADOW, _gshadow)):
        if root.is_file(path):
            changed |= root.edit(path, partial(_with_member, parser=parser, group=group, user=user))
    return changed


def _gshadow(line: str) -> list[str] | None:
    """name, password, administrators, members"""
    fields = line.lstrip(nss_files.BLANKS).split(":", 3)
    return fields if len(fields) == 4 else None


def _with_member(text: str, parser: nss_files.Parser, group: str, user: str) -> str:
    """Both files have four fields, the members in the last one"""
    fields = nss_files.entry(text, parser, group)
    there = nss_files.members(fields[3]) if fields else (user,)
    if user in there:
        return text
    return nss_files.changed(text, parser, group, 3, ",".join((*there, user)))
