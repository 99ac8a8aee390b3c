"""A kernel's command line as words, and changes of it

A change is a word as the user gives it: `net.ifnames=0` or `+net.ifnames=0` sets it, in the place of a word with the
same key; `-quiet` takes it away, `-rd.lvm.lv` all with this key, `-console=tty0` this one word. A boot loader may put a
command line together from several texts; each is a list of words here, and a change works on all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from helper_agent.boot import words
from helper_agent.records import NamedTuple

SEVERAL = ("rd.luks.", "rd.lvm.", "rd.md.", "rd.dm.", "rd.driver.", "systemd.mask", "systemd.wants", "systemd.setenv",
           "ip", "nameserver", "modprobe.blacklist", "module_blacklist", "earlycon", "dyndbg")  # fmt: skip
"""Keys, or their beginnings where they end with a dot, that a command line may have several times, each with a meaning
of its own (dracut.cmdline(7), kernel-command-line(7)): a new one comes beside those that are there."""


class Change(NamedTuple):
    """One word that is to be there, or not to be there"""

    word: str
    remove: bool = False


def parse(items: Iterable[str]) -> tuple[Change, ...]:
    """The changes that a user's words mean"""
    return tuple(Change(item.lstrip("+-"), item.startswith("-")) for item in items if item.lstrip("+-"))


def applied(
    texts: Sequence[str],
    changes: Iterable[Change],
    *,
    counts: Sequence[bool] = (),
    home: int = -1,
    readings: Sequence[re.Pattern[str]] = (),
) -> list[str]:
    """`texts` after `changes`; one that has nothing to be changed comes back as it is, to the blank

    Args:
        counts: which of the texts end up in the command line; in others a word is taken away and never set
        home: the text that gets a new word
        readings: how the words of each are read, see `words.split`; as the kernel does where nothing is said

    Raises:
        Unclosed
    """
    before, lists = _split(texts, readings), _split(texts, readings)
    effective = list(counts) or [True] * len(lists)
    for change in changes:
        if change.remove:
            for each in lists:
                each[:] = [word for word in each if not _fits(word, change.word)]
        else:
            _set(lists, effective, home, change.word)
    return _joined(texts, before, lists)


def consoles(
    texts: Sequence[str],
    wanted: Sequence[str],
    *,
    counts: Sequence[bool] = (),
    home: int = -1,
    readings: Sequence[re.Pattern[str]] = (),
) -> list[str]:
    """`texts` with the words `wanted` (console=...) as the last consoles: the last one gets what init has to say

    They go where the image has its own consoles, so that none of these comes behind them.

    Raises:
        Unclosed
    """
    unchanged, lists = _split(texts, readings), _split(texts, readings)
    effective = list(counts) or [True] * len(lists)
    ours = {_identity(word) for word in wanted}
    places = [index for index, each in enumerate(lists) if effective[index] and any(map(_is_console, each))]
    before = [word for index in places for word in lists[index] if _is_console(word)]
    if before[-len(wanted) :] == list(wanted) and sum(_identity(word) in ours for word in before) == len(wanted):
        return list(texts)
    for each in lists:
        each[:] = [word for word in each if _identity(word) not in ours]
    _insert(lists[places[-1] if places else home], wanted)
    return _joined(texts, unchanged, lists)


def changed(
    pattern: str,
    text: str,
    changes: Sequence[Change],
    wanted: Sequence[str],
    reading: re.Pattern[str] = words.KERNEL,
) -> str:
    """`text` with the command lines changed that `pattern` finds in it, each by itself

    Args:
        pattern: with a group `head`, which stays, and one `text`, the command line
        wanted: as `consoles`, or none

    Raises:
        Unclosed
    """

    def replaced(match: re.Match[str]) -> str:
        (value,) = both([match["text"]], changes, wanted, reading)
        return match["head"] + value

    return re.sub(pattern, replaced, text)


def both(
    texts: Sequence[str], changes: Sequence[Change], wanted: Sequence[str], reading: re.Pattern[str] = words.KERNEL
) -> list[str]:
    """`applied`, and `consoles` where any are wanted

    Raises:
        Unclosed
    """
    readings = [reading] * len(texts)
    values = applied(texts, changes, readings=readings)
    return consoles(values, wanted, readings=readings) if wanted else values


def _split(texts: Sequence[str], readings: Sequence[re.Pattern[str]]) -> list[list[str]]:
    """The words of each of the texts; for the kernel they are one line, in which a quote of one would go on in the next

    Raises:
        Unclosed
    """
    how = list(readings) or [words.KERNEL] * len(texts)
    for text, reading in list(zip(texts, how, strict=True))[:-1]:
        if reading is words.KERNEL and words.is_open(text):
            raise words.Unclosed(text)
    return [words.split(text, reading) for text, reading in zip(texts, how, strict=True)]


def _joined(texts: Sequence[str], before: Sequence[list[str]], after: Sequence[list[str]]) -> list[str]:
    return [text if old == new else " ".join(new) for text, old, new in zip(texts, before, after, strict=True)]


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


def _insert(there: list[str], new: Sequence[str]) -> None:
    """At the end, but in front of what is init's (`--`), and of a quote that goes to the end"""
    end = len(there) - 1 if there and words.is_open(there[-1]) else len(there)
    at = there.index("--") if "--" in there else end
    there[at:at] = new


def _is_console(word: str) -> bool:
    return word.startswith("console=")


def _key(word: str) -> str:
    # The kernel takes - and _ in a name for the same, and a whole word may be in quotes
    bare = word[1:].removesuffix('"') if word.startswith('"') else word
    return bare.partition("=")[0].replace("-", "_")


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
