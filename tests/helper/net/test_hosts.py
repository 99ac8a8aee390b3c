from __future__ import annotations

import pytest

from helper_agent.net.hosts import renamed

NEW = "web1.example.org"


def change(text: str, old: str = "old", new: str = NEW) -> str:
    return renamed(text, old, new, "127.0.1.1")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("127.0.0.1 localhost\n", "127.0.0.1 localhost\n127.0.1.1\tweb1.example.org web1\n"),
        ("127.0.0.1 localhost", "127.0.0.1 localhost\n127.0.1.1\tweb1.example.org web1\n"),
        ("", "127.0.1.1\tweb1.example.org web1\n"),
        ("127.0.1.1 old\n", "127.0.1.1\tweb1.example.org web1\n"),
        ("127.0.1.1 old.example.com old mail # ours\n", "127.0.1.1\tweb1.example.org web1 mail # ours\n"),
        ("127.0.1.1 old\n127.0.1.1 old mail\n", "127.0.1.1\tweb1.example.org web1\n127.0.1.1\tmail\n"),
        ("127.0.0.1 localhost old\n127.0.1.1 old\n", "127.0.0.1\tlocalhost\n127.0.1.1\tweb1.example.org web1\n"),
        ("::1 old\n127.0.1.1 old\n", "127.0.1.1\tweb1.example.org web1\n"),
        ("10.0.0.1 old\n127.0.1.1 old\n", "10.0.0.1\tweb1.example.org\n127.0.1.1\tweb1.example.org web1\n"),
        (
            "10.0.0.1 older.example.com\n127.0.1.1 old\n",
            "10.0.0.1 older.example.com\n127.0.1.1\tweb1.example.org web1\n",
        ),
        ("# old\n#127.0.1.1 old\n127.0.1.1 old\n", "# old\n#127.0.1.1 old\n127.0.1.1\tweb1.example.org web1\n"),
        ("127.0.1.1 web1.example.org web1\n", "127.0.1.1 web1.example.org web1\n"),
        ("127.0.1.1 old\r\n10.0.0.9 x\r\n", "127.0.1.1\tweb1.example.org web1\r\n10.0.0.9 x\r\n"),
    ],
)
def test_lines(before: str, after: str) -> None:
    assert change(before) == after
    assert change(after, "web1") == after


def test_the_whole_old_name_becomes_the_whole_new_one() -> None:
    text = "192.0.2.7 old.example.com old\n127.0.1.1 old.example.com old\n"
    assert change(text, "old.example.com").startswith("192.0.2.7\tweb1.example.org web1\n")


def test_localhost_is_never_taken_for_the_old_name() -> None:
    assert change("127.0.0.1 localhost\n", "localhost") == "127.0.0.1 localhost\n127.0.1.1\tweb1.example.org web1\n"


def test_what_is_not_utf_8_stays() -> None:
    text = b"127.0.0.1 localhost\n# caf\xe9\n".decode("utf-8", "surrogateescape")
    assert b"# caf\xe9\n" in change(text).encode("utf-8", "surrogateescape")


def test_one_label_only() -> None:
    assert change("127.0.1.1 old\n", new="web1") == "127.0.1.1\tweb1\n"


def test_a_system_without_an_own_line_gets_none() -> None:
    assert renamed("127.0.0.1 localhost old\n", "old", NEW, "") == "127.0.0.1\tlocalhost\n"
