"""An image's own description"""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_agent import description
from helper_agent.description import Description, DescriptionError, parse

GIB = 1 << 30


def test_all_that_a_description_may_say() -> None:
    document = b"""
        format = 1
        os_family = "linux"
        users = ["debian", "admin"]
        skip_tasks = ["host-keys", "org.example.motd"]
        min_disk = "4g"
        image_tasks = true
        [options."org.example.motd"]
        owner = "example.org"
        words = ["a", "b"]
        [options.org.example.join]
        port = 8006
        tls = true
        [options.hostname]
        name = "x"
    """
    assert parse(document) == Description(
        os_family="linux",
        users=("debian", "admin"),
        skip_tasks=("host-keys", "org.example.motd"),
        min_disk=4 * GIB,
        image_tasks=True,
        options={
            "org.example.motd": {"owner": "example.org", "words": ["a", "b"]},
            "org.example.join": {"port": 8006, "tls": True},
            "hostname": {"name": "x"},
        },
    )


def test_a_description_may_say_nothing() -> None:
    assert parse(b"format = 1") == Description()


def test_what_a_later_version_knows_is_a_remark() -> None:
    found = parse(b'format = 1\ncolour = "red"\nusers = ["a"]\n[screen]\nwidth = 80')
    assert found.users == ("a",)
    assert len(found.remarks) == 2
    assert "'colour'" in found.remarks[0]


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512 << 20), ("512m", 512 << 20), ("4G", 4 * GIB), ("1t", 1024 * GIB)],
)
def test_sizes_are_ganetis(text: str, size: int) -> None:
    assert parse(f'format = 1\nmin_disk = "{text}"'.encode()).min_disk == size


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("", "format = 1"),
        ("format = 2", "format = 1"),
        ("format = true", "format = 1"),
        ('format = "1"', "format = 1"),
        ("format = 1\nformat = 1", "not TOML"),
        ("format", "not TOML"),
        ('format = 1\nmin_disk = "4 GB"', "min_disk"),
        ("format = 1\nmin_disk = 4", "4g"),
        ('format = 1\nmin_disk = "0"', "min_disk"),
        (f"format = 1\nmin_disk = 0x{'f' * 9000}", "min_disk"),
        (f"format = 1\nmin_disk = {'9' * 9000}", "not TOML"),
        ('format = 1\nusers = "root"', "users"),
        ("format = 1\nusers = []", "users"),
        ("format = 1\nusers = [1]", "users"),
        ('format = 1\nusers = ["ro ot"]', "ro ot"),
        ('format = 1\nusers = ["../etc"]', "no name"),
        ('format = 1\nskip_tasks = "all"', "skip_tasks"),
        ("format = 1\nimage_tasks = 1", "image_tasks"),
        ("format = 1\nos_family = []", "os_family"),
        ("format = 1\noptions = 3", "[options.TASK]"),
        ("format = 1\n[options]\nowner = 3", "no task"),
        ("format = 1\n[options.motd]\nwhen = 2024-01-01", "motd.when"),
        ("format = 1\n[options.motd]\nsize = 1.5", "motd.size"),
        ("format = 1\n[options.motd]\nwords = [1]", "motd.words"),
        ("format = 1\n[options.motd]\nsize = 0xfffffffffffffffff", "too large"),
        (f"format = 1\nx = {'[' * 20_000}", "not TOML"),
    ],
)
def test_a_description_that_is_none_says_why(lines: str, words: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse(lines.encode())
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


def test_tables_in_tables_have_an_end() -> None:
    """TOML's parser takes a table of many parts, and in it keys of many parts"""
    with pytest.raises(DescriptionError, match="too deep"):
        parse(b"format = 1\n[options" + b".a" * 900 + b"]\n" + b"a." * 900 + b"x = 1\n")


def test_a_value_in_tables_has_an_end_too() -> None:
    document = f"format = 1\n[os_family.{'a.' * 900}a]\n{'a.' * 900}a = 1"
    with pytest.raises(DescriptionError, match="os_family = tables too deep in each other"):
        parse(document.encode())


@pytest.mark.timed
def test_a_key_of_many_parts_is_refused_in_no_time() -> None:
    began = time.monotonic()
    with pytest.raises(DescriptionError, match="more than 1000 dots in line 2"):
        parse(b"format = 1\n" + b"a." * 32000 + b"a = 1")
    assert time.monotonic() - began < 1


def test_a_description_is_text_and_short() -> None:
    with pytest.raises(DescriptionError, match="not TOML"):
        parse(b"format = 1 # \xff")
    with pytest.raises(DescriptionError, match="65536"):
        parse(b"format = 1\n#" + b" " * description.SIZE_MAX)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_description_or_an_error(document: bytes) -> None:
    try:
        parse(document)
    except DescriptionError:
        pass


KEYS = ("format", "os_family", "users", "skip_tasks", "min_disk", "image_tasks", "options", "options.a", '"x.y"')
VALUES = ("1", '"a"', '["a"]', "[]", "true", "{}", "{b=1}", "{b={c=1}}", "1979-05-27", "nan", "[[1]]", '"4g"', "-1")


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), unique_by=lambda pair: pair[0]))
def test_any_values_are_a_description_or_an_error(lines: list[tuple[str, str]]) -> None:
    try:
        found: Any = parse("\n".join(f"{key} = {value}" for key, value in lines).encode())
    except DescriptionError:
        return
    assert all(isinstance(name, str) for name in (*found.users, *found.skip_tasks))
    assert found.min_disk >= 0
