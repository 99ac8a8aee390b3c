"""Words: the kernel's reading against next_arg() of its lib/cmdline.c, GRUB's against grub-script-check"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent.boot import arguments, words

Parameter = tuple[str, str | None]


def kernel(text: str) -> list[Parameter]:
    """Names and values, as next_arg() makes them of a command line"""
    found: list[Parameter] = []
    rest = text.lstrip(words.BLANKS)
    while rest:
        quoted = rest.startswith('"')
        rest = rest[1:] if quoted else rest
        in_quote, end = quoted, 0
        while end < len(rest) and (in_quote or rest[end] not in words.BLANKS):
            in_quote ^= rest[end] == '"'
            end += 1
        word, rest = rest[:end], rest[end + 1 :].lstrip(words.BLANKS)
        name, equals, value = word.partition("=") if not word.startswith("=") else (word, "", "")
        if equals and value.startswith('"'):
            value = value[1:]
            value = value.removesuffix('"')
        elif quoted:
            word = word.removesuffix('"')
            name, equals, value = word.partition("=") if not word.startswith("=") else (word, "", "")
        found.append((name, value if equals else None))
    return found


def test_the_model_of_the_kernel() -> None:
    """By hand from its source"""
    assert kernel('ro dyndbg="file a.c +p" "b c=d e" it\'s x="1 2') == [
        ("ro", None),
        ("dyndbg", "file a.c +p"),
        ("b c", "d e"),
        ("it's", None),
        ("x", "1 2"),
    ]


lines = st.text(alphabet="ab=\"' \t", max_size=20)


@given(lines)
def test_a_new_word_swallows_nothing_and_is_not_swallowed(text: str) -> None:
    (after,) = arguments.applied([text], arguments.parse(["panic=5"]))
    assert sorted(kernel(after), key=str) == sorted([*kernel(text), ("panic", "5")], key=str)


@given(lines)
def test_consoles_neither(text: str) -> None:
    (after,) = arguments.consoles([text], ("console=tty0", "console=ttyS0"))
    added = [("console", "tty0"), ("console", "ttyS0")]
    assert sorted(kernel(after), key=str) == sorted([*kernel(text), *added], key=str)
    assert [pair for pair in kernel(after) if pair[0] == "console"] == added


@given(st.lists(st.sampled_from(["a", '"a"', 'a="b a"', '"a b"', "a=", "'a", "c", 'c="a', "b=a"]), max_size=6))
def test_what_is_taken_away_is_away_for_the_kernel(there: list[str]) -> None:
    text = " ".join(there)
    (after,) = arguments.applied([text], arguments.parse(["-a"]))
    assert kernel(after) == [pair for pair in kernel(text) if pair[0] != "a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ro it's quiet", ["ro", "it's", "quiet"]),
        ('a="b c" d', ['a="b c"', "d"]),
        ('a="b c d ', ['a="b c d ']),
        ("a\xa0b\x1cc", ["a\xa0b\x1cc"]),
    ],
)
def test_the_kernels_words(text: str, expected: list[str]) -> None:
    assert words.split(text) == expected


@pytest.mark.parametrize(
    ("reading", "text", "expected"),
    [
        (words.GRUB, r"""a="b \" c" 'd e' f\ g""", [r'''a="b \" c"''', "'d e'", r"f\ g"]),
        (words.IN_QUOTES, r"""a=\"b c\" 'd e' \$f""", [r"a=\"b c\"", "'d e'", r"\$f"]),
    ],
)
def test_grubs_words(reading: re.Pattern[str], text: str, expected: list[str]) -> None:
    assert words.split(text, reading) == expected


@pytest.mark.parametrize(
    ("reading", "text"),
    [
        (words.GRUB, "it's quiet"),
        (words.GRUB, 'a "b quiet'),
        (words.GRUB, 'a "b\\"'),
        (words.GRUB, "a quiet \\"),
        (words.IN_QUOTES, r"a=\"b quiet"),
        (words.IN_QUOTES, "it's quiet"),
    ],
)
def test_what_grub_takes_for_an_error_is_refused(reading: re.Pattern[str], text: str) -> None:
    with pytest.raises(words.Unclosed) as caught:
        words.split(text, reading)
    error = caught.value.at("/boot/grub/grub.cfg")
    assert "/boot/grub/grub.cfg" in error.cause and repr(text) in error.cause
    assert error.remedy


def test_a_quote_that_goes_on_in_the_next_line_of_options_is_refused() -> None:
    with pytest.raises(words.Unclosed):
        arguments.applied(['a="b', "quiet"], arguments.parse(["-quiet"]))
    assert arguments.applied(["quiet", 'a="b'], arguments.parse(["-quiet", "c"])) == ["", 'c a="b']
