"""Names of owners, by the image's own passwd(5) and group(5)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from helper_agent.api import TaskError
from helper_agent.distros import groups, users

if TYPE_CHECKING:
    from helper_agent.root import Root


def uid(root: Root, owner: str) -> int:
    """The user's number

    Raises:
        TaskError: E-USER, no such user in the image
    """
    if owner == "root":  # in every image, even in one whose passwd is yet to be written
        return 0
    if (user := users.read(root).get(owner)) is not None:
        return user.uid
    raise _unknown("user", owner, users.FILE)


def gid(root: Root, group: str) -> int:
    """The group's number

    Raises:
        TaskError: E-USER, no such group in the image
    """
    if group == "root":
        return 0
    if (found := groups.read(root).get(group)) is not None:
        return found.gid
    raise _unknown("group", group, groups.FILE)


def login_group(root: Root, owner: str) -> int:
    """Number of the user's own group

    Raises:
        TaskError: E-USER, no such user in the image
    """
    user = users.read(root).get(owner)
    if user is None and owner != "root":
        raise _unknown("user", owner, users.FILE)
    return user.gid if user else 0


def _unknown(what: str, name: str, file: str) -> TaskError:
    return TaskError(
        f"The {what} {name!r} does not exist in the image",
        f"take one of its {file}, or install the package that makes it",
        code="E-USER",
    )
