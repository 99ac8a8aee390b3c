"""Variables with a kernel's arguments in files of settings that a shell reads: /etc/default/grub and its like

Read as text: nothing in them is run. What is too clever to be read stays, and what is wanted is added below it.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping, Sequence

from helper_agent.api import TaskError
from helper_agent.boot import arguments, words
from helper_agent.boot.arguments import Change
from helper_agent.records import NamedTuple

_VALUE = r""""(?:[^"\\\n]|\\[^\n])*"|'[^'\n]*'|[^\s"'\\;&|`$()]*"""
_PIECE = re.compile(
    r"""(?s)\\.|`(?:[^`\\]|\\.)*`|\$\((?:[^()]|\([^()]*\))*\)|'[^']*'|"(?:[^"\\]|\\.)*"|"""
    r"""(?<![^\s;&|()])#[^\n]*|[^"'\\`$#]+|[`$#]"""
)
"""Of a file in which all quotes are closed; a # begins a comment only where a word could."""


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

    @property
    def reading(self) -> re.Pattern[str]:
        """How its words are read: as GRUB does, also where they go to the kernel by another way and an apostrophe would
        do no harm"""
        return words.IN_QUOTES if self.quote == '"' else words.GRUB


def open_quote(text: str) -> int:
    """Number of the line with a quote that isn't closed, so that no shell can read the file; 0 without, or where a
    here-document may have any"""
    end = _pieces(text)[1]
    there = text[end : end + 1] in ("'", '"') and "<<" not in text
    return text.count("\n", 0, end) + 1 if there else 0


def _pieces(text: str) -> tuple[list[tuple[int, int]], int]:
    """Where quotes are that go over the end of a line, and where the text can't be read any more"""
    found, end = [], 0
    while (piece := _PIECE.match(text, end)) is not None:
        end = piece.end()
        if text[piece.start()] in ("'", '"') and "\n" in piece[0]:
            found.append(piece.span())
    return found, end


def check(path: str, text: str) -> None:
    """Whether a shell can read the file at all, as far as quotes go

    Raises:
        TaskError: what would be put there were in a quote, or between two
    """
    line = open_quote(text)
    if line:
        raise TaskError(
            f"The image's {path} has a quote in line {line} that isn't closed, so that it can't be told what is quoted",
            "correct the file in the image, or leave out kernel_args and serial_console",
        )


def find(texts: Mapping[str, str], name: str) -> list[Setting]:
    """Lines of `texts` (by their files) that set `name`; where the value can't be read it is "", and nothing can be put
    there. What looks so inside of a quote is none; a here-document, or what is never run, is not told apart"""
    found = []
    pattern = rf"(?m)^[ \t]*(?:export[ \t]+)?{name}=(?P<value>{_VALUE})(?P<rest>[^\n]*)"
    for path, text in texts.items():
        quoted = _pieces(text)[0]
        for match in re.finditer(pattern, text):
            before = bisect.bisect(quoted, (match.start(), len(text))) - 1
            if before >= 0 and match.start() < quoted[before][1]:
                continue
            start, end = match.span("value")
            known = re.fullmatch(r"[ \t]*(?:#.*)?\r?", match["rest"]) is not None
            quote = match["value"][:1] if match["value"][:1] in ("'", '"') else ""
            if quote:
                start, end = start + 1, end - 1
            found.append(Setting(path, start, end, quote, text[start:end] if known else "", name, known))
    return found


def with_home(texts: Mapping[str, str], name: str, first: str) -> dict[str, str]:
    """`texts` with an assignment of `name` that new words can go to: an empty one in `first`, or one that adds to what
    can't be read"""
    rows = find(texts, name)
    if rows and rows[-1].known:
        return dict(texts)
    path = rows[-1].file if rows else first
    text = texts[path]
    gap = "\n" if text and not text.endswith("\n") else ""
    return {**texts, path: f'{text}{gap}{name}="{f"${name}" if rows else ""}"\n'}


def changed(
    texts: Mapping[str, str], names: Sequence[str], changes: Sequence[Change], consoles: Sequence[str]
) -> dict[str, str]:
    """Those of `texts` that are other ones when the command line is changed

    Args:
        names: variables whose values, one after the other, are the command line; the first has a home for new words

    Raises:
        Unclosed
    """
    rows = [row for name in names for row in find(texts, name)]
    counts, readings = _counts(rows), [row.reading for row in rows]
    home = max(index for index, row in enumerate(rows) if row.name == names[0])
    values = arguments.applied([row.value for row in rows], changes, counts=counts, home=home, readings=readings)
    if consoles:
        values = arguments.consoles(values, consoles, counts=counts, home=home, readings=readings)
    different = [(row, value) for row, value in zip(rows, values, strict=True) if row.known and value != row.value]
    return {
        path: _with(text, mine)
        for path, text in texts.items()
        if (mine := [one for one in different if one[0].file == path])
    }


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
