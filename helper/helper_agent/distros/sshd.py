"""What the image's sshd is told by its sshd_config(5), Include files among it, and how to tell it something else

Only the global part counts: what follows a Match line holds for some users or addresses, and no task asks about those.
"""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Mapping

from helper_agent.distros.users import User
from helper_agent.records import NamedTuple
from helper_agent.root import Root

VENDOR = "/usr/etc"
"""Below it openSUSE and others have what counts where the file below /etc doesn't exist."""
DROP_IN = "/etc/ssh/sshd_config.d/00-instance-helper.conf"
"""The first value that sshd reads counts, so this is to come before the files of others, 50-cloud-init.conf among
them."""
HEAD = "# Written by ganeti-instance-helper\n"
INCLUDES_MAX = 16
"""Depth of Include, as in sshd's servconf.c (SERVCONF_MAX_DEPTH)."""


class Line(NamedTuple):
    """A line of the global part"""

    keyword: str
    """In lower case."""
    words: list[str]
    """Its arguments."""
    path: str
    """Of the file that has it."""


def lines(root: Root, path: str) -> list[Line]:
    """The lines in the order sshd reads them, Include lines before those that they bring; none without the file

    Raises:
        TaskError: the file, or one it includes, is not a regular file
    """
    found: list[Line] = []
    _read(root, read_from(root, path), found, 0)
    return found


def settings(root: Root, path: str) -> dict[str, list[list[str]]]:
    """Lower-case keyword -> the arguments of each of its lines, in the order sshd reads them

    Where sshd takes one value the first line counts; HostKey lines add up. Empty without the file.

    Raises:
        TaskError: the file, or one it includes, is not a regular file
    """
    found: dict[str, list[list[str]]] = {}
    for line in lines(root, path):
        if line.keyword != "include":
            found.setdefault(line.keyword, []).append(line.words)
    return found


def write(root: Root, path: str, wanted: Mapping[str, str]) -> None:
    """Have sshd take the values `wanted` (keyword -> value), in a file of our own where `path` includes its folder

    Where another line comes before ours it gets the value, too; and where none of our files would be read, `path` does.

    Raises:
        TaskError: as `lines`
    """
    patterns = [word for line in lines(root, path) if line.keyword == "include" for word in line.words]
    if any(fnmatch.fnmatchcase(DROP_IN, _absolute(pattern)) for pattern in patterns):
        root.install(DROP_IN, HEAD + "".join(f"{keyword} {value}\n" for keyword, value in wanted.items()), mode=0o600)
    else:
        _set(root, path, wanted)
    first_of: dict[str, Line] = {}
    for line in lines(root, path):
        first_of.setdefault(line.keyword, line)
    for keyword, value in wanted.items():
        counts = first_of.get(keyword.lower())
        if counts is not None and counts.words != [value]:
            _set(root, counts.path, {keyword: value})


def _set(root: Root, path: str, wanted: Mapping[str, str]) -> None:
    package = read_from(root, path)
    if package != path or root.is_symlink(path):  # what is below /usr stays, and may not be written at all
        root.write(path, root.read(package), mode=0o600, follow=False)
    for keyword, value in wanted.items():
        root.set_key(path, keyword, value, separator=" ", ignore_case=True)


def exceptions(root: Root, path: str, keyword: str) -> list[str]:
    """Match lines of the main file below which `keyword` stands: for those users or addresses ours doesn't count"""
    found: list[str] = []
    match = ""
    for line in root.read_text_or(read_from(root, path)).split("\n"):
        words = _words(line)
        if words and words[0].lower() == "match":
            match = " ".join(words)
        elif words and match and words[0].lower() == keyword.lower() and match not in found:
            found.append(match)
    return found


def read_from(root: Root, path: str) -> str:
    """The file that sshd reads: `path`, or what its package has in that one's place"""
    vendors = VENDOR + path.removeprefix("/etc")
    return vendors if not root.exists(path) and root.exists(vendors) else path


def first(found: dict[str, list[list[str]]], keyword: str, default: list[str]) -> list[str]:
    """The arguments of the line that counts, `default` without one"""
    return found.get(keyword.lower(), [default])[0]


def user_path(pattern: str, user: User) -> str:
    """AuthorizedKeysFile for one user: its tokens replaced, relative to the home (sshd_config(5), TOKENS)"""
    tokens = {"h": user.home, "u": user.name, "U": str(user.uid), "%": "%"}
    head, *parts = pattern.replace("%%", "%\0").split("%")
    path = head + "".join(tokens.get("%" if part[:1] == "\0" else part[:1], "") + part[1:] for part in parts)
    return path if path.startswith("/") else f"{user.home.rstrip('/')}/{path}"


def _read(root: Root, path: str, found: list[Line], depth: int) -> None:
    for text in root.read_text_or(path).split("\n"):
        words = _words(text)
        if not words:
            continue
        keyword = words[0].lower()
        if keyword == "match":
            return
        if len(words) > 1:
            found.append(Line(keyword, words[1:], path))
        if keyword == "include" and depth < INCLUDES_MAX:
            for pattern in words[1:]:
                for included in root.glob(_absolute(pattern)):
                    _read(root, included, found, depth + 1)


def _absolute(pattern: str) -> str:
    return pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"


def _words(line: str) -> list[str]:
    """`Keyword arguments` or `Keyword=arguments`, double quotes and comments as sshd understands them"""
    keyword, _, rest = line.strip().replace("=", " ", 1 if "=" in line.split(" ", 1)[0] else 0).partition(" ")
    if not keyword or keyword.startswith("#"):
        return []
    if not any(character in rest for character in "\"'\\#"):  # nearly always; shlex is slow
        return [*keyword.split(), *rest.split()]
    try:
        return [*keyword.split(), *shlex.split(rest, comments=True)]
    except ValueError:  # an unbalanced quote, on which sshd would refuse to start
        return [*keyword.split(), *rest.split()]
