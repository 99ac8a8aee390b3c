"""grub's settings, shell files from which its configuration is made: /etc/default/grub, and Debian's grub.d

Read as text: nothing in them is run. What is too clever to be read stays, and what is wanted is added below it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from helper_agent.boot import arguments
from helper_agent.boot.arguments import Change
from helper_agent.records import NamedTuple
from helper_agent.root import Root

ALWAYS, NORMAL = "GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"
"""The command line is ALWAYS' words, and then NORMAL's, which recovery entries don't get."""

_VALUE = r""""(?:[^"\\\n]|\\[^\n])*"|'[^'\n]*'|[^\s"'\\;&|`$()]*"""


class Setting(NamedTuple):
    """A line that sets a variable"""

    file: str
    start: int
    end: int
    """Where in the file's text the value is, without its quotes."""
    quote: str
    value: str
    name: str
    known: bool
    """Its value could be read."""

    @property
    def adds(self) -> bool:
        """It adds to what the variable has had"""
        return re.search(rf"\${{?{self.name}\b", self.value) is not None


def files(root: Root, patterns: Sequence[str]) -> list[str]:
    """Those that are there, in the order in which grub-mkconfig reads them"""
    return [path for pattern in patterns for path in root.glob(pattern) if root.is_file(path)]


def change(root: Root, paths: Sequence[str], changes: Sequence[Change], consoles: Sequence[str]) -> bool:
    """The command line of the files `paths` changed; whether there was anything to change

    Raises:
        TaskError, OSError: as `Root.edit`
    """
    if not paths:
        return False
    texts = {path: root.read_text(path) for path in paths}
    _make_home(texts, paths[0])
    rows = [row for name in (ALWAYS, NORMAL) for row in _settings(texts, name)]
    counts = _counts(rows)
    home = max(index for index, row in enumerate(rows) if row.name == ALWAYS)
    values = arguments.applied([row.value for row in rows], changes, counts=counts, home=home)
    if consoles:
        values = arguments.consoles(values, consoles, counts=counts, home=home)
    different = [(row, value) for row, value in zip(rows, values, strict=True) if row.known and value != row.value]
    for path in paths:
        if mine := [pair for pair in different if pair[0].file == path]:
            root.write(path, _with(texts[path], mine))
    return bool(different)


def set_value(root: Root, paths: Sequence[str], name: str, value: str) -> bool:
    """The variable `name` set where it is set last, else in the first file; whether that changed anything

    Raises:
        TaskError, OSError: as `Root.edit`
    """
    found = [path for path in paths if _settings({path: root.read_text(path)}, name)]
    return bool(paths) and root.set_key((found or list(paths))[-1 if found else 0], name, f'"{value}"')


def _make_home(texts: dict[str, str], first: str) -> None:
    """An assignment of ALWAYS that new words can go to: an empty one, or one that adds to what can't be read"""
    rows = _settings(texts, ALWAYS)
    if rows and rows[-1].known:
        return
    path = rows[-1].file if rows else first
    text = texts[path]
    gap = "\n" if text and not text.endswith("\n") else ""
    texts[path] = f'{text}{gap}{ALWAYS}="{f"${ALWAYS}" if rows else ""}"\n'


def _settings(texts: dict[str, str], name: str) -> list[Setting]:
    """Lines of `texts` that set `name`; where the value can't be read it is "", and nothing can be put there"""
    found = []
    pattern = rf"(?m)^[ \t]*(?:export[ \t]+)?{name}=(?P<value>{_VALUE})(?P<rest>[^\n]*)"
    for path, text in texts.items():
        for match in re.finditer(pattern, text):
            start, end = match.span("value")
            known = re.fullmatch(r"[ \t]*(?:#.*)?\r?", match["rest"]) is not None
            quote = match["value"][:1] if match["value"][:1] in ("'", '"') else ""
            if quote:
                start, end = start + 1, end - 1
            found.append(Setting(path, start, end, quote, text[start:end] if known else "", name, known))
    return found


def _counts(rows: Sequence[Setting]) -> list[bool]:
    """For each of `rows`, whether what it sets isn't replaced by a later one"""
    replaced: set[str] = set()
    found = []
    for row in reversed(rows):
        found.append(row.known and row.name not in replaced)
        if row.known and not row.adds:
            replaced.add(row.name)
    return found[::-1]


def _with(text: str, new: Sequence[tuple[Setting, str]]) -> str:
    parts, at = [], 0
    for row, value in sorted(new, key=lambda pair: pair[0].start):
        quote = "" if row.quote else '"'
        parts += [text[at : row.start], quote, value, quote]
        at = row.end
    return "".join((*parts, text[at:]))
