"""A kernel's command line as words, and changes of it

A change is a word as the user gives it: `net.ifnames=0` or `+net.ifnames=0` sets it, in the place of a word with the
same key; `-quiet` takes it away, `-rd.lvm.lv` all with this key, `-console=tty0` this one word. A boot loader may put a
command line together from several texts; each is a list of words here, and a change works on all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from helper_agent.records import NamedTuple

SEVERAL = ("rd.luks.", "rd.lvm.", "rd.md.", "rd.dm.", "rd.driver.", "systemd.mask", "systemd.wants", "systemd.setenv",
           "ip", "nameserver", "modprobe.blacklist", "module_blacklist", "earlycon", "dyndbg")  # fmt: skip
"""Keys, or their beginnings where they end with a dot, that a command line may have several times, each with a meaning
of its own (dracut.cmdline(7), kernel-command-line(7)): a new one comes beside those that are there."""

_WORD = r"""(?:[^\s"']|"[^"]*"?|'[^']*'?)+"""


class Change(NamedTuple):
    """One word that is to be there, or not to be there"""

    word: str
    remove: bool = False


def parse(items: Iterable[str]) -> tuple[Change, ...]:
    """The changes that a user's words mean"""
    return tuple(Change(item.lstrip("+-"), item.startswith("-")) for item in items if item.lstrip("+-"))


def split(text: str) -> list[str]:
    """The words of a command line; blanks between quotes belong to a word"""
    return re.findall(_WORD, text)


def applied(
    texts: Sequence[str], changes: Iterable[Change], *, counts: Sequence[bool] = (), home: int = -1
) -> list[str]:
    """`texts` after `changes`; one that has nothing to be changed comes back as it is, to the blank

    Args:
        counts: which of the texts end up in the command line; in others a word is taken away and never set
        home: the text that gets a new word
    """
    lists = [split(text) for text in texts]
    effective = list(counts) or [True] * len(lists)
    for change in changes:
        if change.remove:
            for words in lists:
                words[:] = [word for word in words if not _fits(word, change.word)]
        else:
            _set(lists, effective, home, change.word)
    return [text if split(text) == words else " ".join(words) for text, words in zip(texts, lists, strict=True)]


def consoles(texts: Sequence[str], wanted: Sequence[str], *, counts: Sequence[bool] = (), home: int = -1) -> list[str]:
    """`texts` with the words `wanted` (console=...) as the last consoles: the last one gets what init has to say

    They go where the image has its own consoles, so that none of these comes behind them.
    """
    lists = [split(text) for text in texts]
    effective = list(counts) or [True] * len(lists)
    ours = {_identity(word) for word in wanted}
    places = [index for index, words in enumerate(lists) if effective[index] and any(map(_is_console, words))]
    before = [word for index in places for word in lists[index] if _is_console(word)]
    if before[-len(wanted) :] == list(wanted) and sum(_identity(word) in ours for word in before) == len(wanted):
        return list(texts)
    for words in lists:
        words[:] = [word for word in words if _identity(word) not in ours]
    _insert(lists[places[-1] if places else home], wanted)
    return [text if split(text) == words else " ".join(words) for text, words in zip(texts, lists, strict=True)]


def changed(pattern: str, text: str, changes: Sequence[Change], wanted: Sequence[str]) -> str:
    """`text` with the command lines changed that `pattern` finds in it, each by itself

    Args:
        pattern: with a group `head`, which stays, and one `text`, the command line
        wanted: as `consoles`, or none
    """

    def replaced(match: re.Match[str]) -> str:
        (value,) = both([match["text"]], changes, wanted)
        return match["head"] + value

    return re.sub(pattern, replaced, text)


def both(texts: Sequence[str], changes: Sequence[Change], wanted: Sequence[str]) -> list[str]:
    """`applied`, and `consoles` where any are wanted"""
    values = applied(texts, changes)
    return consoles(values, wanted) if wanted else values


def _set(lists: list[list[str]], effective: Sequence[bool], home: int, wanted: str) -> None:
    there = False
    for index in reversed(range(len(lists))):
        kept: list[str] = []
        for word in reversed(lists[index]):
            if _identity(word) != _identity(wanted):
                kept.append(word)
            elif effective[index] and not there:
                kept.append(wanted)
                there = True
        lists[index][:] = reversed(kept)
    if not there:
        _insert(lists[home], [wanted])


def _insert(words: list[str], new: Sequence[str]) -> None:
    """At the end, but in front of what is init's (`--`)"""
    at = words.index("--") if "--" in words else len(words)
    words[at:at] = new


def _is_console(word: str) -> bool:
    return word.startswith("console=")


def _key(word: str) -> str:
    # The kernel takes - and _ in a name for the same
    return word.partition("=")[0].replace("-", "_")


def _identity(word: str) -> str:
    """The same for two words of which only one can be on a command line"""
    key = _key(word)
    if key == "console":
        return word.partition(",")[0]
    return word if any(key == one or (one[-1] == "." and key.startswith(one)) for one in SEVERAL) else key


def _fits(word: str, wanted: str) -> bool:
    """Whether `-wanted` takes `word` away"""
    if "=" not in wanted:
        return _key(word) == _key(wanted)
    return word == wanted or (_is_console(word) and word.partition(",")[0] == wanted)
