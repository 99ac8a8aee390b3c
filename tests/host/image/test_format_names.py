"""What values of image_format mean"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helper_host.image.formats import FORMATS
from helper_host.image.formats.names import HELP, NAMES, Declared, parse, shown


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("auto", Declared(None, None, "")),
        ("raw", Declared("raw", "", "")),
        (" RAW ", Declared("raw", "", "")),
        ("raw+gz", Declared("raw", "gzip", "")),
        ("raw+bz2", Declared("raw", "bzip2", "")),
        ("raw+bzip2", Declared("raw", "bzip2", "")),
        ("raw+xz", Declared("raw", "xz", "")),
        ("raw+zst", Declared("raw", "zstd", "")),
        ("raw+zstd", Declared("raw", "zstd", "")),
        ("qcow2", Declared("qcow2", "", "")),
        ("qcow2+xz", Declared("qcow2", "xz", "")),
        ("vmdk+gzip", Declared("vmdk", "gzip", "")),
        ("vdi+bz2", Declared("vdi", "bzip2", "")),
        ("vhd", Declared("vhd", "", "")),
        ("vpc", Declared("vhd", "", "")),
        ("vpc+xz", Declared("vhd", "xz", "")),
        ("vhdx+zst", Declared("vhdx", "zstd", "")),
        ("diskdump", Declared("raw", "", "")),
        ("extdump", Declared("raw", "", "linux")),
        ("extdump+gz", Declared("raw", "gzip", "linux")),
        ("ntfsdump", Declared("raw", "", "ntfs")),
    ],
)
def test_names(text: str, meaning: Declared) -> None:
    assert parse(text) == meaning


@pytest.mark.parametrize(
    "text", ["", "+", "+gz", "raw+", "raw++gz", "raw+gz+xz", "gz+raw", "raw gz", "auto+gz", "qcow", "iso", "raw+lz4"]
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="no format is called"):
        parse(text)


@given(st.text(max_size=12) | st.text("rawqco2+gzbxstd", max_size=12))
def test_any_text(text: str) -> None:
    try:
        meaning = parse(text)
    except ValueError:
        return
    assert meaning == parse(text.upper())


def test_every_name_is_a_format_and_in_the_help() -> None:
    assert {meaning.format for meaning in NAMES.values()} == {row.name for row in FORMATS}
    assert all(f" {name}," in HELP for name in NAMES)


def test_what_people_read() -> None:
    assert shown("qcow2", "") == shown("qcow2", None) == "qcow2"
    assert shown("raw", "gzip") == "raw+gzip"
