"""Fixtures for images and disks"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from helper_host.image.disk import open_disk
from helper_host.image.image import Image
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.opening import open_image
from helper_host.image.sources import Places
from helper_host.image.writer import Writer, WriteResult


def quiet(done: int, total: int) -> None:
    """Progress that nobody looks at"""


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """An image store and an allowed folder, both empty"""
    for name in ("store", "allowed"):
        (tmp_path / name).mkdir()
    return Places(str(tmp_path / "store"), (str(tmp_path / "allowed"),))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file outside of all allowed folders whose content must never get anywhere"""
    path = tmp_path / "canary"
    path.write_bytes(b"CANARY-" * 1000)
    return path


Opener = Callable[..., Image]


@pytest.fixture
def opened(places: Places) -> Opener:
    """Opens an image made of the given bytes"""

    def make(content: bytes, image_format: str = "auto", integrity: Integrity = NOTHING) -> Image:
        path = Path(places.folders[0]) / "image"
        path.write_bytes(content)
        image = open_image(str(path), places=places, image_format=image_format, integrity=integrity)
        assert isinstance(image, Image)
        return image

    return make


def new_disk(path: Path, size: int) -> Path:
    """A fresh sparse file"""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def deploy(image: Image, path: Path, *, clear_rest: bool = True) -> WriteResult:
    """The whole image onto the disk at `path`"""
    with open_disk(str(path), path.stat().st_size) as disk:
        writer = Writer(image, disk, clear_rest=clear_rest)
        result = writer.write(quiet, threading.Event())
        writer.write_head()
    return result


def content_of(image: Image) -> bytes:
    """The disk's bytes by the image's extents, which must be in order and without gaps"""
    parts = []
    position = 0
    for extent in image.extents():
        assert extent.offset == position and extent.length > 0
        buffer = bytearray(extent.length)
        image.read(extent.source, memoryview(buffer))
        parts.append(bytes(buffer))
        position += extent.length
    assert position == image.virtual_size
    return b"".join(parts)
