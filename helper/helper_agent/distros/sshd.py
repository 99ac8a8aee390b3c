"""What the image's sshd is told by its sshd_config(5), Include files among it

Only the global part counts: what follows a Match line holds for some users or addresses, and no task asks about those.
"""

from __future__ import annotations

import shlex

from helper_agent.distros.users import User
from helper_agent.root import Root

VENDOR = "/usr/etc"
"""Below it openSUSE and others have what counts where the file below /etc doesn't exist."""
INCLUDES_MAX = 16
"""Depth of Include, as in sshd's servconf.c (SERVCONF_MAX_DEPTH)."""


def settings(root: Root, path: str) -> dict[str, list[list[str]]]:
    """Lower-case keyword -> the arguments of each of its lines, in the order sshd reads them

    Where sshd takes one value the first line counts; HostKey lines add up. Empty without the file.

    Raises:
        TaskError: the file, or one it includes, is not a regular file
    """
    found: dict[str, list[list[str]]] = {}
    _read(root, read_from(root, path), found, 0)
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


def _read(root: Root, path: str, found: dict[str, list[list[str]]], depth: int) -> None:
    for line in root.read_text_or(path).split("\n"):
        words = _words(line)
        if not words:
            continue
        keyword = words[0].lower()
        if keyword == "match":
            return
        if keyword == "include" and depth < INCLUDES_MAX:
            for pattern in words[1:]:
                for included in root.glob(pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"):
                    _read(root, included, found, depth + 1)
        elif len(words) > 1:
            found.setdefault(keyword, []).append(words[1:])


def _words(line: str) -> list[str]:
    """`Keyword arguments` or `Keyword=arguments`, double quotes and comments as sshd understands them"""
    keyword, _, rest = line.strip().replace("=", " ", 1 if "=" in line.split(" ", 1)[0] else 0).partition(" ")
    if not keyword or keyword.startswith("#"):
        return []
    try:
        return [*keyword.split(), *shlex.split(rest, comments=True)]
    except ValueError:  # an unbalanced quote, on which sshd would refuse to start
        return [*keyword.split(), *rest.split()]
