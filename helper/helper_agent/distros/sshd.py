"""What the image's sshd is told by its sshd_config(5), Include files among it, and how to tell it something else

Only the global part counts: what follows a Match line holds for some users or addresses. Of that a task asks only for
what contradicts it (`exceptions`).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping

from helper_agent.api import TaskError
from helper_agent.distros.users import User
from helper_agent.records import NamedTuple
from helper_agent.root import READ_MAX, Root

VENDOR = "/usr/etc"
"""Below it openSUSE and others have what counts where the file below /etc doesn't exist."""
DROP_IN = "/etc/ssh/sshd_config.d/00-instance-helper.conf"
"""The first value that sshd reads counts, so this is to come before the files of others, 50-cloud-init.conf among
them."""
HEAD = "# Written by ganeti-instance-helper\n"
INCLUDES_MAX = 16
"""Depth of Include, as in sshd's servconf.c (SERVCONF_MAX_DEPTH)."""
FILES_MAX = 1000
"""Most files that are read: each of them may include all of them again."""
SIZE_MAX = READ_MAX
"""Most characters in all of them together."""

_LINE = re.compile(r"""\s*(?:"(?P<quoted>[^"\n]+)"|(?P<plain>[^\s="#][^\s=]*))\s*=?\s*(?P<rest>.*)""")
"""Keyword and arguments, blanks or `=` or both between them (strdelim() in sshd's misc.c)."""

_AWKWARD = re.compile(r"""["'\\#=]""")
"""What a line has that isn't just words with blanks between them."""
_TOKEN = re.compile(r"""\\['"\\ ]|\\|\s+|['"]|[^\\\s'"]+""")


class Line(NamedTuple):
    """A line that isn't empty"""

    keyword: str
    """In lower case."""
    words: list[str]
    """Its arguments."""
    path: str
    """Of the file that has it."""
    match: str = ""
    """The Match line that it belongs to, "" in the global part."""


def lines(root: Root, path: str) -> list[Line]:
    """The lines of the global part in the order sshd reads them, Include lines before those that they bring; none
    without the file

    Raises:
        TaskError: the file, or one it includes, is not a regular file; too many files
    """
    return [line for line in _all(root, path) if not line.match]


def _all(root: Root, path: str) -> list[Line]:
    found: list[Line] = []
    _Reader(root, found).read(read_from(root, path), 0, "")
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
        TaskError: as `lines`, or a line before ours can't be changed
    """
    patterns = [word for line in lines(root, path) if line.keyword == "include" for word in line.words]
    if any(fnmatch.fnmatchcase(DROP_IN, _absolute(pattern)) for pattern in patterns):
        root.install(DROP_IN, HEAD + "".join(f"{keyword} {value}\n" for keyword, value in wanted.items()), mode=0o600)
    else:
        _set(root, path, wanted)
    for keyword, value, where in _overruled(root, path, wanted):
        _set(root, where, {keyword: value})
    for keyword, _, where in _overruled(root, path, wanted):
        raise TaskError(f"A line of {where} in the image says otherwise about {keyword}", "take that line away")


def _overruled(root: Root, path: str, wanted: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """What of `wanted` isn't what counts, and the file that has what does"""
    first_of: dict[str, Line] = {}
    for line in lines(root, path):
        first_of.setdefault(line.keyword, line)
    there = [(keyword, value, first_of.get(keyword.lower())) for keyword, value in wanted.items()]
    return [(keyword, value, line.path) for keyword, value, line in there if line and line.words != [value]]


def _set(root: Root, path: str, wanted: Mapping[str, str]) -> None:
    package = read_from(root, path)
    if package != path or root.is_symlink(path):  # what is below /usr stays, and may not be written at all
        root.write(path, root.read(package), mode=0o600, follow=False)
    for keyword, value in wanted.items():
        root.set_key(path, keyword, value, separator=" ", ignore_case=True)


def exceptions(root: Root, path: str, wanted: Mapping[str, str]) -> list[str]:
    """Match lines below which one of the keywords has another value than `wanted`: for those users or addresses ours
    doesn't count

    Raises:
        TaskError: as `lines`
    """
    values = {keyword.lower(): [value] for keyword, value in wanted.items()}
    below = (line for line in _all(root, path) if line.match)
    return list(dict.fromkeys(line.match for line in below if line.words != values.get(line.keyword, line.words)))


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


class _Reader:
    """Reads a file and those that it includes, into `found`"""

    def __init__(self, root: Root, found: list[Line]) -> None:
        self._root = root
        self._found = found
        self._files = 0
        self._size = 0

    def read(self, path: str, depth: int, match: str) -> None:
        """A Match of a file ends with that file, one around its Include line holds for all of it"""
        self._files += 1
        if self._files > FILES_MAX:
            raise TaskError(f"The image's sshd_config includes more than {FILES_MAX} files", "see what it includes")
        content = self._root.read_text_or(path)
        self._size += len(content)
        if self._size > SIZE_MAX:
            raise TaskError(f"The image's sshd_config includes more than {SIZE_MAX} bytes", "see what it includes")
        for text in content.split("\n"):
            words = _words(text)
            if not words:
                continue
            keyword = words[0].lower()
            if keyword == "match":
                match = " ".join(words)
                continue
            if len(words) > 1:
                self._found.append(Line(keyword, words[1:], path, match))
            if keyword == "include" and depth < INCLUDES_MAX:
                for included in (each for pattern in words[1:] for each in self._root.glob(_absolute(pattern))):
                    self.read(included, depth + 1, match)


def _absolute(pattern: str) -> str:
    return pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"


def _words(line: str) -> list[str]:
    """`Keyword arguments` or `Keyword=arguments`, double quotes and comments as sshd understands them"""
    if not _AWKWARD.search(line):  # nearly always, and ten times as fast
        return line.split()
    match = _LINE.match(line)
    if match is None:
        return []
    keyword, rest = match["quoted"] or match["plain"], match["rest"]
    if not _AWKWARD.search(rest):
        return [keyword, *rest.split()]
    return [keyword, *_arguments(rest)]


def _arguments(text: str) -> list[str]:
    """As argv_split() in sshd's misc.c: a comment begins where a word could; an escape is one before quotes and
    backslashes, and outside of quotes before a blank"""
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    for token in _TOKEN.findall(text):
        if not quote and word is None and token.startswith("#"):
            break
        if not quote and token.isspace():
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        word = [] if word is None else word
        if not quote and token in ("'", '"'):
            quote = token
        elif token == quote:
            quote = ""
        else:
            escaped = token[0] == "\\" and len(token) == 2 and not (quote and token[1] == " ")
            word.append(token[1] if escaped else token)
    if quote:  # sshd would refuse to start
        return text.split()
    return words if word is None else [*words, "".join(word)]
