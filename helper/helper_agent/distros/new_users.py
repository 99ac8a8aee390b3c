"""A new user, as useradd(8) makes one: lines in six files, and a home from /etc/skel

passwd comes last: a run that ended before it finds the rest again, and completes it.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Collection, Mapping

from helper_agent.api import TaskError
from helper_agent.distros import groups, nss_files, shadow, users
from helper_agent.distros.users import User
from helper_agent.root import Root

DEFS = "/etc/login.defs"
SKEL = "/etc/skel"
SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/ash")
SUB_IDS = ("/etc/subuid", "/etc/subgid")
SUB_FIRST, SUB_COUNT = 100000, 65536
PARSERS: Mapping[str, nss_files.Parser] = {**shadow.PARSERS, groups.FILE: nss_files.group}
SINCE = 18262
"""2020-01-01 in days; a helper without a clock starts at 1970."""
SKEL_MAX = 1000
"""Most names in /etc/skel."""


def add(root: Root, name: str) -> User:
    """Make the user `name`, who isn't in passwd

    Raises:
        TaskError: there is a group of that name which is somebody else's, or no free number, or a user of that name
            whose number is none; a file is a trap
    """
    if nss_files.entry(root.read_text_or(users.FILE), nss_files.passwd, name) is not None:
        raise TaskError(f"The user {name!r} in the image has the number -1", f"correct its {users.FILE}", code="E-USER")
    defs = _defs(root)
    there = users.read(root)
    uid, gid = _numbers(root, name, there.values(), defs)
    shell = next((path for path in SHELLS if root.is_file(path)), "/bin/sh")
    user = User(name, uid, gid, f"/home/{name}", shell)
    _line(root, groups.FILE, f"{name}:x:{gid}:", wanted=defs.get("USERGROUPS_ENAB", "yes") != "no")
    if root.exists(groups.SHADOW):
        # what an earlier group of that name has left: its password, and administrators, would be this one's
        left = {1: "!", 2: "", 3: ""}
        root.edit(groups.SHADOW, lambda text: nss_files.changed_everywhere(text, name, left))
        _line(root, groups.SHADOW, f"{name}:!::", wanted=True)
    today = int(time.time() // 86400)
    # not !: an sshd without PAM would refuse keys
    shadowed = root.exists(shadow.SHADOW)
    _line(root, shadow.SHADOW, f"{name}:*:{today if today >= SINCE else ''}:0:99999:7:::", wanted=shadowed)
    if shadowed:
        shadow.replace(root, name, "*")  # what an earlier user of that name has left would be this one's password
    for path in SUB_IDS:
        _line(root, path, f"{name}:{_next_sub(root.read_text_or(path))}:{SUB_COUNT}", wanted=root.is_file(path))
    _home(root, user)
    _line(root, users.FILE, f"{name}:{'x' if shadowed else '*'}:{uid}:{gid}::{user.home}:{shell}", wanted=True)
    return user


def _defs(root: Root) -> dict[str, str]:
    """login.defs(5)"""
    lines = (line.split() for line in root.read_text_or(DEFS).split("\n"))
    return {words[0]: words[1] for words in lines if len(words) > 1 and not words[0].startswith("#")}


def _numbers(root: Root, name: str, there: Collection[User], defs: dict[str, str]) -> tuple[int, int]:
    """uid and gid: one number for both that neither has, or the group that all users are in"""
    existing = groups.read(root)
    mine = existing.get(name)
    # 0 is the administrator's, whether or not the image has one
    used = {0, *_taken(root)} | {group.gid for group in existing.values() if group is not mine}
    if mine is not None and (mine.members or mine.gid in used or any(user.gid == mine.gid for user in there)):
        raise TaskError(
            f"The image has no user {name!r}, but a group of that name, so that none can be made",
            "take another name",
            code="E-USER",
        )
    low, high = _number(defs, "UID_MIN", 1000), _number(defs, "UID_MAX", 60000)
    free = next((number for number in range(low, high + 1) if number not in used), None)
    if free is None:
        raise TaskError(f"The image has no free number for the user {name!r}", f"look at UID_MAX in its {DEFS}")
    common = existing.get("users")
    if defs.get("USERGROUPS_ENAB", "yes") == "no" and common is not None and common.gid:
        return free, common.gid
    return (mine.gid, mine.gid) if mine is not None else (free, free)


def _taken(root: Root) -> list[int | None]:
    """Numbers of all users, also of a second line with the name of an earlier one"""
    lines = map(nss_files.passwd, root.read_text_or(users.FILE).split("\n"))
    return [nss_files.number(fields[2]) for fields in lines if fields is not None]


def _number(defs: dict[str, str], key: str, default: int) -> int:
    number = nss_files.number(defs.get(key, ""))
    return default if number is None or number == nss_files.NO_ID else number


def _line(root: Root, path: str, line: str, *, wanted: bool) -> None:
    """Add it, unless one for the same name is there that counts"""
    if not wanted:
        return
    name, text = line.partition(":")[0], root.read_text_or(path)
    parser = PARSERS.get(path)
    there = nss_files.entry(text, parser, name) is not None if parser else f"\n{name}:" in f"\n{text}"
    if not there:
        root.append_line(path, line)


def _next_sub(text: str) -> int:
    """The first subordinate number behind all that are taken (subuid(5))"""
    ends = [SUB_FIRST]
    for line in text.split("\n"):
        fields = line.strip().split(":")
        numbers = [each for each in map(nss_files.number, fields[1:]) if each is not None and each != nss_files.NO_ID]
        if len(fields) == 3 and len(numbers) == 2:
            ends.append(sum(numbers))
    return max(ends)


def _home(root: Root, user: User) -> None:
    if not root.mkdir(user.home, 0o700, user.uid, user.gid) or not root.is_dir(SKEL):
        return
    for number, path in enumerate(root.walk(SKEL)):
        if number >= SKEL_MAX:
            raise TaskError(f"{SKEL} in the image holds more than {SKEL_MAX} names", "see what is in it")
        copy, found = f"{user.home}{path.removeprefix(SKEL)}", root.lstat(path)
        if stat.S_ISDIR(found.st_mode):
            root.mkdir(copy, stat.S_IMODE(found.st_mode), user.uid, user.gid)
        elif stat.S_ISLNK(found.st_mode):
            root.symlink(root.readlink(path), copy)
        elif stat.S_ISREG(found.st_mode):
            root.write(copy, root.read(path), mode=stat.S_IMODE(found.st_mode) & 0o777, uid=user.uid, gid=user.gid)
