from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent.boot import arguments
from helper_agent.boot.arguments import Change

SERIAL = ("console=tty0", "console=ttyS0,115200n8")


@pytest.mark.parametrize(
    ("before", "items", "after"),
    [
        ("ro quiet", "net.ifnames=0", "ro quiet net.ifnames=0"),
        ("ro quiet", "+net.ifnames=0", "ro quiet net.ifnames=0"),
        ("ro net.ifnames=1 quiet", "net.ifnames=0", "ro net.ifnames=0 quiet"),
        ("a=1 b a=2", "a=3", "b a=3"),
        ("ro  quiet\t splash", "-quiet", "ro splash"),
        ("ro  quiet\t splash", "-other", "ro  quiet\t splash"),
        ("panic=5 panic=6", "-panic", ""),
        ("panic=5", "-panic=6", "panic=5"),
        ("console=tty0 console=ttyS0,9600", "console=hvc0", "console=tty0 console=ttyS0,9600 console=hvc0"),
        ("console=tty0 console=ttyS0,9600", "console=ttyS0,115200n8", "console=tty0 console=ttyS0,115200n8"),
        ("console=tty0 console=ttyS0,9600", "-console=ttyS0", "console=tty0"),
        ("console=tty0 console=ttyS0,9600", "-console", ""),
        ("rd.lvm.lv=a/root", "rd.lvm.lv=a/swap", "rd.lvm.lv=a/root rd.lvm.lv=a/swap"),
        ('ro dyndbg="file a.c +p" quiet', "-quiet", 'ro dyndbg="file a.c +p"'),
        ('ro dyndbg="file quiet +p', "-quiet", 'ro dyndbg="file quiet +p'),
        ("ro -- single", "panic=1", "ro panic=1 -- single"),
        ("ro quiet splash $vt_handoff", "panic=1 -splash", "ro quiet $vt_handoff panic=1"),
        ("init_on_alloc=1", "init-on-alloc=0", "init-on-alloc=0"),
        ("", "a -a b", "b"),
    ],
)
def test_changes(before: str, items: str, after: str) -> None:
    changes = arguments.parse(items.split())
    once = arguments.applied([before], changes)
    assert once == [after]
    assert arguments.applied(once, changes) == once


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ro", "ro console=tty0 console=ttyS0,115200n8"),
        ("ro console=tty0 console=ttyS0,115200n8 quiet", "ro console=tty0 console=ttyS0,115200n8 quiet"),
        ("console=ttyS0 console=tty0 ro", "ro console=tty0 console=ttyS0,115200n8"),
        ("console=tty1 ro", "console=tty1 ro console=tty0 console=ttyS0,115200n8"),
        ("console=tty0 console=ttyS0,115200", "console=tty0 console=ttyS0,115200n8"),
        ("console=ttyS0,115200n8 console=tty0 console=ttyS0,115200n8", "console=tty0 console=ttyS0,115200n8"),
    ],
)
def test_consoles(before: str, after: str) -> None:
    once = arguments.consoles([before], SERIAL)
    assert once == [after]
    assert arguments.consoles(once, SERIAL) == once


def test_consoles_go_where_the_image_has_its_own() -> None:
    """Ubuntu's cloud image has them in the second text, which comes last"""
    assert arguments.consoles(["a", "console=tty1 console=ttyS0"], SERIAL, home=0) == [
        "a",
        "console=tty1 console=tty0 console=ttyS0,115200n8",
    ]


def test_what_does_not_count_gets_no_word() -> None:
    """A later assignment replaces the first text"""
    changes = [Change("panic=1"), Change("quiet", remove=True)]
    assert arguments.applied(["panic=5 quiet", "ro"], changes, counts=[False, True], home=1) == ["", "ro panic=1"]


words = st.lists(st.from_regex(r"[a-c]{1,2}(=[01])?|console=tty(S0|0)(,9600)?", fullmatch=True), max_size=6)


@given(words, words, st.sets(st.integers(0, 5)))
def test_wanted_words_are_there_once(there: list[str], wanted: list[str], removed: set[int]) -> None:
    changes = [Change(word, index in removed) for index, word in enumerate(wanted)]
    (text,) = once = arguments.applied([" ".join(there)], changes)
    if changes:
        last = changes[-1]
        assert text.split().count(last.word) == (0 if last.remove else 1)
    twice = arguments.applied(once, changes)
    assert sorted(twice[0].split()) == sorted(text.split())
