"""Odd lines of passwd, group and shadow: what glibc itself makes of them is what we do"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helper_agent.distros import groups, nss_files, shadow, users
from helper_kit.fake_tree import Tree
from tests.helper.distros import glibc

ODD = [
    "a:x:1:2:g:/h:/s",
    "  \v a:x:1:2:g:/h:/s",
    "#a:x:1:2:::",
    " # a:x:1:2:::",
    "+", "+a::::::", "-a:x:1:2:::", "+:::", "+a:*:1:0:9:7:::",
    ":x:1:2:::",
    "a ", "a :x:1:2:::", "a", "a:", "a:x", "a:x:1", "a:x:1:", "a:x:1:2", "a:x:1:2:",
    "a:x::2:::", "a:x:1::::",
    "a:x:+1: 2:::", "a:x:-1:2:::", "a:x:-0:2:::", "a:x:0x1:2:::", "a:x:1 :2:::", "a:x:\u0663:2:::",
    "a:x:4294967295:2:::", "a:x:4294967296:2:::", "a:x:18446744073709551617:2:::",
    "a:x:-18446744073709551615:2:::", "a:x:-36893488147419103231:2:::",
    f"a:x:{'0' * 5000}1:2:::", f"a:x:{'9' * 5000}:2:::", f"{'a' * 9000}:x:1:2:::",
    "a:x:1:2:g:/h:/s:t:u", "a:x:1:2:g:/h:/s\r", "a:x:1\r", "a:x:1:\r",
    "a:x:1:2:g:/h:/s\0b", "a\0:x:1:2:::", "\0a:x:1:2:::",
    "a:x:1: b, c ,,d\r", "a:x:1:b:c,d",
    "a:*", "a:*:1", "a:*:1:0", "a:*:1:0:", "a:*:1:0:9", "a:*:1:0:9:", "a:*:1:0:9: ", "a:*:1:0:9:\r",
    "a:*:1:0:9:7", "a:*:1:0:9:7:", "a:*:1:0:9:7:5", "a:*:1:0:9:7::", "a:*:1:0:9:7::5",
    "a:*:1:0:9:7:::", "a:*:1:0:9:7:::\r", "a:*:1:0:9:7:::x", "a:*:1:0:9:7:::5", "a:*:1:0:9:7::::", "a:*:1:0:9: :::",
    "a:*:::9", "a:*::::::", "a:*:::::::", "a:*: :0:9:7:::", "a:*:1:0:9:7::-1:", "a:*:1:0:9:7::4294967295:",
]  # fmt: skip
TEXTS = st.lists(
    st.sampled_from(ODD)
    | st.lists(
        st.sampled_from(["", "a", "b", "x", "1", "2", " ", "-1", "+7", "4294967295", "a,b", "9\r", "/h", "\0", "#"]),
        max_size=10,
    ).map(":".join),
    max_size=6,
).map(lambda lines: "\n".join(line.lstrip(nss_files.BLANKS) if "\0" in line else line for line in lines))
"""Not both blanks in front and a NUL: glibc reads the end of such a line twice, as of one without a newline."""


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def read(text: str, parser: nss_files.Parser) -> list[list[str]]:
    return [fields for line in text.split("\n") if (fields := parser(line)) is not None]


def passwd(text: str) -> list[tuple[object, ...]]:
    rows = read(text, nss_files.passwd)
    return [(raw(a), raw(b), nss_files.number(c), nss_files.number(d), *map(raw, rest)) for a, b, c, d, *rest in rows]


def group(text: str) -> list[tuple[object, ...]]:
    rows = read(text, nss_files.group)
    return [(raw(a), raw(b), nss_files.number(c), tuple(map(raw, nss_files.members(d)))) for a, b, c, d in rows]


def spwd(text: str) -> list[tuple[object, ...]]:
    def number(field: str) -> int:
        value = nss_files.number(field)
        return -1 if value is None else value - 2**32 if value >= 2**31 else value

    rows = read(text, nss_files.shadow)
    return [(raw(row[0]), raw(row[1]), number(row[2]), number(row[7])) for row in rows]


KINDS = pytest.mark.parametrize(
    ("ours", "theirs"),
    [(passwd, glibc.passwd), (group, glibc.group), (spwd, glibc.shadow)],
    ids=["passwd", "group", "shadow"],
)


@KINDS
@given(text=TEXTS)
@example(text="\n".join(ODD))
def test_as_glibc(ours: Callable[[str], Any], theirs: Callable[[bytes], Any], text: str) -> None:
    assert ours(text) == theirs(raw(text))


@given(text=TEXTS, name=st.sampled_from(["a", "b"]))
def test_a_password_is_in_the_line_that_counts(text: str, name: str) -> None:
    before = glibc.shadow(raw(text))
    after = nss_files.changed_everywhere(text, name, {1: "HASH", 2: "20000"})
    rows = glibc.shadow(raw(after))
    expected = [(*row[:1], b"HASH", 20000, *row[3:]) if row[0] == raw(name) else row for row in before]
    # a line whose date was the only thing wrong with it is one now, and has the hash as well
    assert [row for row in rows if row in expected or row[:3] != (raw(name), b"HASH", 20000)] == expected
    assert [row[0] for row in before if row[0] != raw(name)] == [row[0] for row in rows if row[0] != raw(name)]
    assert all(row[1] == b"HASH" for row in rows if row[0] == raw(name))


@given(text=TEXTS)
def test_a_member_is_one(text: str) -> None:
    after = groups._with_member(text, nss_files.group, "a", "newcomer")
    before = [row for row in glibc.group(raw(text)) if row[0] == b"a"]
    found = [row for row in glibc.group(raw(after)) if row[0] == b"a"]
    assert [row[3] for row in found[:1]] == [(*row[3], b"newcomer") for row in before[:1]]
    assert found[1:] == before[1:]
    assert groups._with_member(after, nss_files.group, "a", "newcomer") == after


def test_an_entry_is_the_first_that_can_be_read() -> None:
    text = "a:x\n a:x:1:2:::\na:x:3:4:::"
    assert nss_files.entry(text, nss_files.passwd, "a") == ["a", "x", "1", "2", "", "", ""]
    assert nss_files.entries(text, nss_files.passwd) == {"a": ["a", "x", "1", "2", "", "", ""]}
    assert nss_files.entry(text, nss_files.passwd, "b") is None
    assert nss_files.changed(text, nss_files.passwd, "a", 1, "h") == "a:x\n a:h:1:2:::\na:x:3:4:::"
    assert nss_files.changed(text, nss_files.passwd, "b", 1, "h") == text
    assert nss_files.changed_everywhere(text, "a", {1: "h"}) == "a:h\n a:h:1:2:::\na:h:3:4:::"


def test_a_number_of_minus_one_is_nobodys(tree: Tree) -> None:
    """The kernel would leave an owner as it is; a later line doesn't count either"""
    tree.put("/etc/passwd", "a:x:4294967295:1:::\na:x:5:5:::\nb:x:1:4294967295:::\n")
    tree.put("/etc/group", "a:x:4294967295:\na:x:5:\n")
    assert users.read(tree.root()) == {}
    assert groups.read(tree.root()) == {}


def test_the_line_that_the_system_reads_is_locked(tree: Tree) -> None:
    """A line of two fields is none; one with blanks in front is"""
    tree.put("/etc/passwd", "root\n root:x:0:0\n")
    tree.put("/etc/shadow", "root:!\n\troot:$6$salt$hash:19600:0:99999:7:::\n")
    root = tree.root()
    assert shadow.of(root, "root") == "$6$salt$hash"
    shadow.replace(root, "root", "*")
    assert tree.text("/etc/shadow") == "root:*\n\troot:*:19600:0:99999:7:::\n"
    assert shadow.all_fields(root) == {"root": "*"}
