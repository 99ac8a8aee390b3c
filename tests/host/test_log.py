"""The log: one record a line, nothing that drives a terminal"""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_host.log import LINE_MAX, Log, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words", "plain words"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb", "a\\rb"),
        ("\u202eevil", "\\u202eevil"),
        ("\0", "\\x00"),
        ("\udcff", "\\udcff"),
        ("Grüße", "Grüße"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_what_could_drive_a_terminal_is_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


@given(st.text(max_size=3000))
def test_a_record_is_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) <= LINE_MAX


def test_a_long_line_is_cut() -> None:
    line = printable("x" * 1_000_000)
    assert len(line) == LINE_MAX
    assert line.endswith("[...]")


def test_every_line_becomes_a_record() -> None:
    stream = io.StringIO()
    Log(stream=stream).warning("one\ntwo")
    lines = stream.getvalue().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["warning: one", "warning: two"]


def test_debug_shows_when_verbose_only() -> None:
    quiet, verbose = io.StringIO(), io.StringIO()
    Log(stream=quiet).debug("detail")
    Log(stream=verbose, verbose=True).debug("detail")
    assert quiet.getvalue() == ""
    assert "debug: detail" in verbose.getvalue()


def test_a_full_log_ends_nothing() -> None:
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:
        Log(stream=full).info("nobody will read this")
        with contextlib.suppress(OSError):
            full.close()
