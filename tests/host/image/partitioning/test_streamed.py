"""The same tables around what comes as a stream, whose size is known at its end: real servers, real unpackers"""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from helper_host import http
from helper_host.errors import ProviderError
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.disk import open_disk
from helper_host.image.opening import open_image
from helper_host.image.partitioning import choice
from helper_host.image.partitioning.msdos import Msdos
from helper_host.image.sources import Places
from helper_host.image.stream_image import StreamImage
from helper_host.image.stream_writer import StreamWriter
from tests.host import web
from tests.host.image.conftest import new_disk, quiet
from tests.host.image.partitioning.test_tables import DATA, GPT_TAIL, MIB, filesystem, sfdisk

pytestmark = pytest.mark.root

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "+gz": gzip.compress,
    "+bz2": bz2.compress,
    "+xz": lzma.compress,
    "+zst": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[web.Server]:
    with web.serving(tmp_path / "server", tls=False) as server:
        yield server


def streamed(server: web.Server, content: bytes, image_format: str, frame: Any, tmp_path: Path) -> StreamImage:
    server.answers["/image"] = web.File(content)
    rules = http.Rules(schemes=("http",))
    places = Places(
        str(tmp_path), (), rules=rules, cache=CacheSpec(str(tmp_path / "cache"), 0, 0.0, False), warn=lambda _: None
    )
    image = open_image(server.url("/image"), places=places, image_format=image_format, frame=frame)
    assert isinstance(image, StreamImage)
    return image


def written(image: StreamImage, disk: Path) -> int:
    with image, open_disk(str(disk), disk.stat().st_size) as target:
        writer = StreamWriter(image, target)
        result = writer.write(quiet, threading.Event())
        writer.write_head()
    return result.size


@pytest.mark.parametrize("packing", PACKERS)
@pytest.mark.parametrize(("partition", "size"), [("msdos", 513), ("gpt", 5 * MIB + 512)])
def test_a_stream(server: web.Server, tmp_path: Path, packing: str, partition: str, size: int) -> None:
    content = filesystem(tmp_path / "image", size).read_bytes()
    name = f"extdump{packing}"
    frame = choice.choose(partition, name, 64 * MIB)
    disk = new_disk(tmp_path / "disk", 64 * MIB)
    disk.write_bytes(b"old" * (64 * MIB // 3 + 1))
    with disk.open("r+b") as file:
        file.truncate(64 * MIB)
    sectors = -(-size // 512)
    end = written(streamed(server, PACKERS[packing](content), name, frame, tmp_path), disk)
    assert end == MIB + sectors * 512 + (GPT_TAIL if partition == "gpt" else 0)
    whole = disk.read_bytes()
    assert whole[MIB : MIB + size] == content
    assert not any(whole[end:]), "nothing of the last tenant is left"
    (row,) = sfdisk(disk)["partitions"]
    assert (row["start"], row["size"]) == (2048, sectors)
    if partition == "gpt":
        disk.write_bytes(whole[:end])
        checked = subprocess.run(["sgdisk", "--verify", str(disk)], check=True, capture_output=True, text=True)
        assert "No problems found" in checked.stdout


def test_a_disk_that_has_no_room_for_the_table(server: web.Server, tmp_path: Path) -> None:
    """The filesystem alone would fit; an old bzip2 file doesn't say how large it is"""
    content = filesystem(tmp_path / "image", 4 * MIB).read_bytes()
    disk = new_disk(tmp_path / "disk", 5 * MIB)
    frame = choice.choose("gpt", "extdump+bz2", 5 * MIB)
    with pytest.raises(ProviderError) as caught:
        written(streamed(server, bz2.compress(content), "extdump+bz2", frame, tmp_path), disk)
    assert caught.value.code == "E-DISK-SMALL"
    assert not any(disk.read_bytes()[:MIB]), "no head"


def test_a_disk_with_partitions_is_refused_before_anything_is_written(server: web.Server, tmp_path: Path) -> None:
    whole = Msdos().head(4 * MIB) + DATA.ljust(4 * MIB, b"\0")
    with pytest.raises(ProviderError, match="has a partition table"):
        streamed(server, gzip.compress(whole), "auto", choice.choose("yes", "auto", 64 * MIB), tmp_path)
