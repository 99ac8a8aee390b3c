"""The corpus of bad image files: refused with its code, the disk untouched, and nothing of the node's files on it"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.disk import open_disk
from helper_host.image.formats import FORMATS
from helper_host.image.image import Image
from helper_host.image.opening import open_image
from helper_host.image.sources import Places
from helper_host.image.writer import Writer

from .builders import MIB
from .conftest import quiet
from .corpus import CASES, Case

READ_HERE = {row.name for row in FORMATS}
OLD = b"what was on the disk before "


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes((OLD * (4 * MIB // len(OLD) + 1))[: 4 * MIB])
    return path


def deploy(places: Places, image_format: str, disk: Path) -> None:
    """What a deployment does, to its end"""
    image = open_image("image", places=places, image_format=image_format)
    assert isinstance(image, Image)
    with image, open_disk(str(disk), disk.stat().st_size) as target:
        writer = Writer(image, target)
        writer.check()
        writer.write(quiet, threading.Event())
        writer.write_head()


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths that are opened from now on"""
    opened: list[str] = []
    real = os.open

    def spy(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        opened.append(os.fspath(path))
        return real(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", spy)
    return opened


@pytest.mark.parametrize("declared", [False, True], ids=["auto", "declared"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused_and_nothing_written(
    places: Places, canary: Path, disk: Path, case: Case, declared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = case.make(str(canary).encode())
    (Path(places.store) / "image").write_bytes(content)
    image_format = case.format if declared and case.format in READ_HERE else "auto"
    opened = reads(monkeypatch)
    with pytest.raises(ProviderError) as caught:
        deploy(places, image_format, disk)
    assert caught.value.code == case.code
    assert str(canary) not in opened
    assert str(canary) not in str(caught.value)
    assert disk.read_bytes() == (OLD * (4 * MIB // len(OLD) + 1))[: 4 * MIB]
    if not declared:
        assert re.search(case.words, str(caught.value))


def test_the_corpus_is_one() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 30


def test_the_canary_is_named_where_it_can_be(canary: Path) -> None:
    """So that a reader that follows names would have been led to it"""
    name = str(canary).encode()
    wide = str(canary).encode("utf-16-be")
    assert sum(name in content or wide in content for content in (case.make(name) for case in CASES)) >= 12


def test_a_good_image_does_change_this_disk(places: Places, disk: Path) -> None:
    (Path(places.store) / "image").write_bytes(b"\1" * MIB)
    deploy(places, "auto", disk)
    assert disk.read_bytes() == b"\1" * MIB + bytes(3 * MIB)
