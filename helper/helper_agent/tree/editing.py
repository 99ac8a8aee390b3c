"""Changes to the text of configuration files that leave all the rest as it is

Everything here is text in, text out. Lines end at a newline only, with a carriage return before it where the file has
it so; other bytes, comments and the order stay.
"""

from __future__ import annotations

from collections.abc import Sequence

from helper_agent.api import TaskError
from helper_agent.records import NamedTuple

BLANKS = " \t"
ROUNDS_MAX = 8
"""Below a line that went, one may be indented and then belong to what is above it, so that there is more to do."""


class Style(NamedTuple):
    """How a file writes a key and its value"""

    key: str
    separator: str
    comment: str
    """Characters any of which begins a comment."""
    ignore_case: bool

    @property
    def mark(self) -> str:
        """The separator without blanks, "" where blanks are the separator"""
        return self.separator.strip()

    def split(self, line: str) -> tuple[str, str] | None:
        """What stands before the value, and the value, where `line` sets the key; None where it doesn't"""
        line = line.rstrip("\r\n")
        start = line.lstrip(BLANKS)
        key, rest = start[: len(self.key)], start[len(self.key) :]
        if not self.same(key, self.key):
            return None
        value = rest.lstrip(BLANKS)
        # `Key=value` and `Key = value` where blanks separate: sshd takes both
        mark = self.mark or "="
        if value.startswith(mark):
            value = value[len(mark) :].lstrip(BLANKS)
        elif value and (self.mark or value == rest):
            return None
        return line[: len(line) - len(value)], value.rstrip(BLANKS)

    def same(self, one: str, other: str) -> bool:
        """Whether two names are the same here"""
        return one.lower() == other.lower() if self.ignore_case else one == other

    def is_comment(self, line: str) -> bool:
        """Whether nothing in `line` counts: a comment, or blank"""
        text = line.strip()
        return not text or text[0] in self.comment

    def proposes(self, line: str) -> int:
        """How likely a comment is the key's default commented out: 2 `#Key value`, 1 `# Key value`, 0 none"""
        text = line.lstrip(BLANKS)
        bare = text.lstrip(self.comment)
        if bare == text or self.split(bare) is None:
            return 0
        return 1 if bare[0] in BLANKS else 2

    def line(self, before: str, value: str) -> str:
        """A line, without its end; `before` is what stood before the value, "" where there was no such line"""
        if not before:
            before = f"{self.key}{self.separator}"
        elif self.mark and not before.rstrip(BLANKS).endswith(self.mark):  # the key alone
            before = f"{before.rstrip(BLANKS)}{self.separator}"
        elif not self.mark and not before.endswith((" ", "\t", "=")):
            before = f"{before}{self.separator}"
        return f"{before}{value}" if value else before.rstrip(BLANKS)


def style(key: str, separator: str, comment: str, ignore_case: bool) -> Style:
    """A `Style`, checked

    Raises:
        ValueError: a key or separator that no line can have
    """
    made = Style(key, separator, comment, ignore_case)
    if not separator or any(character in separator for character in "\r\n\0"):
        raise ValueError(f"no separator: {separator!r}")
    if (
        not key
        or key != key.strip()
        or key[0] in f"[{comment}"
        or any(character in key for character in made.mark or BLANKS)
        or any(character in key for character in "\r\n\0")
    ):
        raise ValueError(f"no key: {key!r}")
    return made


def with_lines(text: str, wanted: Sequence[str]) -> str:
    """`text` with those of the lines `wanted` at its end that it lacks; see `Root.append_lines`"""
    lines = split(text)
    there = {line.rstrip() for line in lines}
    for line in wanted:
        if line.rstrip() not in there:
            there.add(line.rstrip())
            _insert(lines, len(lines), [_one_line(line, "A line")])
    return "".join(lines)


def with_replaced(text: str, pattern: str, replacement: str | None) -> str:
    """`text` with each line that `pattern` fits as a whole replaced, or gone; see `Root.replace_lines`"""
    import re

    fits = re.compile(pattern)
    lines = split(text)
    for number, line in enumerate(lines):
        if match := fits.fullmatch(line, 0, len(line) - len(_end(line))):
            lines[number] = "" if replacement is None else match.expand(replacement) + _end(line)
    return "".join(lines)


def with_key(text: str, style: Style, value: str | None, blocks: Sequence[str]) -> str:
    """`text` with one line that sets the key, none where `value` is None; see `Root.set_key`"""
    value = _value(style, value)
    lines = _logical(split(text), style)
    words = [word.lower() for word in blocks]
    opens = next((at for at, line in enumerate(lines) if _word(line) in words), len(lines))
    _set(lines, style, value, [range(opens)], _last_place(lines, style, opens))
    return "".join(lines)


def with_ini(text: str, section: str, style: Style, value: str | None) -> str:
    """`text` with one line that sets the key in the section, none where `value` is None; see `Root.set_ini`"""
    if section != section.strip() or any(character in section for character in "]\r\n\0"):
        raise ValueError(f"no name of a section: {section!r}")
    value = _value(style, value)
    for _ in range(ROUNDS_MAX):
        before, text = text, _in_section(text, section, style, value)
        if text == before:
            break
    return text


def _in_section(text: str, section: str, style: Style, value: str | None) -> str:
    lines = _logical(split(text), style, indented=True)
    headers = [(at, name) for at, line in enumerate(lines) if (name := _header(line)) is not None]
    starts = [at for at, _ in headers]
    if not section:
        first = starts[0] if starts else len(lines)
        _set(lines, style, value, [range(first)], _last_place(lines, style, first))
        return "".join(lines)
    stops = [*starts[1:], len(lines)]  # one too many where there is no section
    spans = [range(at + 1, stop) for (at, name), stop in zip(headers, stops, strict=False) if style.same(name, section)]
    if spans:
        settings = [at + 1 for at in spans[0] if not style.is_comment(lines[at])]
        _set(lines, style, value, spans, max(settings, default=spans[0].start))
    elif value is not None:
        blank = [""] if lines and lines[-1].strip() else []
        _insert(lines, len(lines), [*blank, f"[{section}]", style.line("", value)])
    return "".join(lines)


def split(text: str) -> list[str]:
    """The lines of `text` with their ends"""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _set(lines: list[str], style: Style, value: str | None, spans: Sequence[range], place: int) -> None:
    """One line in `spans` sets the key: the first that does, or a new one below its default, or a new one at `place`"""
    # A look that costs little, since a file may have a hundred thousand lines
    name = style.key.lower()
    likely = [at for span in spans for at in span if name in lines[at].lower()]
    there = [(at, found) for at in likely if (found := style.split(lines[at])) is not None]
    for at, _ in there[0 if value is None else 1 :]:
        lines[at] = ""
    if value is None:
        return
    if there:
        at, (before, old) = there[0]
        if old != value:
            lines[at] = style.line(before, value) + _end(lines[at])
        return
    new = style.line("", value)
    proposed = [
        (score, -at)
        for at in likely
        if (score := style.proposes(lines[at]))
        and not any(_is_below(line, new, style) for line in lines[at + 1 : at + 2])
    ]
    at = 1 - max(proposed)[1] if proposed else place
    # A last line that wants to go on takes an empty one in, not the new one
    empty = [""] if style.mark and at and _continues(lines[at - 1]) and not style.is_comment(lines[at - 1]) else []
    _insert(lines, at, [*empty, new])


def _insert(lines: list[str], at: int, new: Sequence[str]) -> None:
    """New lines, which end as the first one does"""
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += end
    lines[at:at] = [f"{line}{end}" for line in new]


def _last_place(lines: Sequence[str], style: Style, stop: int) -> int:
    """Where a new line goes before the block that begins at `stop`: above the comment that belongs to the block"""
    if stop == len(lines):
        return stop
    return next((at for at in range(stop, 0, -1) if not style.is_comment(lines[at - 1])), 0)


def _logical(lines: Sequence[str], style: Style, *, indented: bool = False) -> list[str]:
    """Lines put together that a backslash at the end holds together, as in a shell's and in systemd's files

    sshd's and others where blanks separate know no such thing.

    Args:
        indented: whether a line that is indented deeper goes on as well, as Python's parser has it; one with a
            separator doesn't, since others indent as they like
    """
    if not style.mark:
        return list(lines)
    joined: list[str] = []
    goes_on = False
    for line in lines:
        if goes_on or (indented and joined and _is_below(line, joined[-1], style)):
            joined[-1] += line
        else:
            joined.append(line)
        goes_on = _continues(line) and (goes_on or not style.is_comment(line))
    return joined


def _is_below(line: str, above: str, style: Style) -> bool:
    if style.is_comment(line) or style.is_comment(above) or style.mark in line or _header(above) is not None:
        return False
    return _indent(line) > _indent(above) and _header(line) is None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(BLANKS))


def _continues(line: str) -> bool:
    if "\\" not in line:
        return False
    body = line[: len(line) - len(_end(line))]
    return (len(body) - len(body.rstrip("\\"))) % 2 == 1


def _end(line: str) -> str:
    end = line[len(line.rstrip("\r\n")) :]
    return end[end.rfind("\n", 0, -1) + 1 :]  # of lines put together, the last may be empty


def _word(line: str) -> str:
    return (line.split(None, 1) or [""])[0].lower()


def _header(line: str) -> str | None:
    """The section that `line` begins"""
    text = line.strip()
    return text[1 : text.index("]")].strip() if text.startswith("[") and "]" in text else None


def _value(style: Style, value: str | None) -> str | None:
    if value is None:
        return None
    value = _one_line(value, f"The value of {style.key}").strip(BLANKS)
    if style.mark and _continues(value):
        raise TaskError(f"The value of {style.key} ends with a backslash, which would take in the next line")
    if not style.mark and value.startswith("="):
        raise TaskError(f"The value of {style.key} begins with =, which would be taken for the separator")
    return value


def _one_line(text: str, what: str) -> str:
    if any(character in text for character in "\r\n\0"):
        raise TaskError(f"{what} has a newline or NUL in it", "give it as one line", code="E-OPTION")
    return text
