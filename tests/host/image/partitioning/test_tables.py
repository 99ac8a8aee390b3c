"""A filesystem's image becomes a disk with a partition: read back with the tools that people have for it"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helper_host.errors import ProviderError
from helper_host.image.disk import open_disk
from helper_host.image.formats.raw import RawReader
from helper_host.image.image import Image
from helper_host.image.opening import open_image
from helper_host.image.partitioning import choice
from helper_host.image.partitioning.framed import FramedReader
from helper_host.image.partitioning.gpt import Gpt
from helper_host.image.partitioning.layout import LINUX, MSDOS_MAX, WINDOWS
from helper_host.image.partitioning.msdos import Msdos
from helper_host.image.sources import Places
from helper_host.image.writer import Writer
from tests.host.image.conftest import content_of, deploy, new_disk

MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
GPT_TAIL = 33 * 512
FRAMES = (Msdos, Gpt)
DATA = b"a filesystem's bytes " * 1000


def filesystem(path: Path, size: int) -> Path:
    """A sparse file with data at both ends"""
    with path.open("wb") as file:
        file.write(DATA[:size])
        file.truncate(size)
        if size > 2 * len(DATA):
            file.seek(size - len(DATA))
            file.write(DATA)
    return path


def opened(path: Path, frame: Any, image_format: str = "raw") -> Image:
    places = Places(str(path.parent), (str(path.parent),))
    image = open_image(str(path), places=places, image_format=image_format, frame=frame)
    assert isinstance(image, Image)
    return image


def sfdisk(path: Path) -> dict[str, Any]:
    """The table as sfdisk reads it"""
    done = subprocess.run(["sfdisk", "--json", str(path)], check=True, capture_output=True, text=True)
    assert "rror" not in done.stderr and "orrupt" not in done.stderr, done.stderr
    table: dict[str, Any] = json.loads(done.stdout)["partitiontable"]
    return table


@pytest.mark.programs
@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("size", [512, 513, MIB, 3 * MIB + 512, 700 * MIB, 9 * GIB, 2 * TIB - 4 * MIB])
def test_the_table_is_right(tmp_path: Path, frame: Any, size: int) -> None:
    sectors = -(-size // 512)
    with opened(filesystem(tmp_path / "image", size), frame()) as image:
        tail = GPT_TAIL if frame is Gpt else 0
        assert image.virtual_size == MIB + sectors * 512 + tail
        disk = new_disk(tmp_path / "disk", image.virtual_size)
        deploy(image, disk)
    table = sfdisk(disk)
    (partition,) = table["partitions"]
    assert table["label"] == ("gpt" if frame is Gpt else "dos")
    assert (partition["start"], partition["size"]) == (2048, sectors)
    if frame is Gpt:
        assert partition["type"] == "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
        assert (table["firstlba"], table["lastlba"]) == (34, 2048 + sectors - 1)
        checked = subprocess.run(["sgdisk", "--verify", str(disk)], check=True, capture_output=True, text=True)
        assert "No problems found" in checked.stdout
    else:
        assert (partition["type"], partition["bootable"]) == ("83", True)
    checked = subprocess.run(["sfdisk", "--verify", str(disk)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with disk.open("rb") as file:
        file.seek(MIB)
        assert file.read(min(size, len(DATA))) == DATA[:size]
        if size > 2 * len(DATA):
            file.seek(MIB + size - len(DATA))
            assert file.read(len(DATA)) == DATA


@pytest.mark.programs
@pytest.mark.parametrize("kind", [LINUX, WINDOWS])
def test_types(tmp_path: Path, kind: Any) -> None:
    types = []
    for frame in FRAMES:
        with opened(filesystem(tmp_path / "image", MIB), frame(kind)) as image:
            disk = new_disk(tmp_path / "disk", image.virtual_size)
            deploy(image, disk)
        types.append(sfdisk(disk)["partitions"][0]["type"].lower())
    assert types == [f"{kind.msdos:x}", kind.gpt]


@pytest.mark.programs
def test_a_gpt_is_whole_on_a_larger_disk_once_its_backup_was_moved(tmp_path: Path) -> None:
    with opened(filesystem(tmp_path / "image", 5 * MIB), Gpt()) as image:
        disk = new_disk(tmp_path / "disk", 64 * MIB)
        deploy(image, disk)
    subprocess.run(["sgdisk", "--move-second-header", str(disk)], check=True, capture_output=True)
    checked = subprocess.run(["sgdisk", "--verify", str(disk)], check=True, capture_output=True, text=True)
    assert "No problems found" in checked.stdout


MAKERS = {
    "ext4": ["mkfs.ext4", "-q", "-F"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
    "vfat": ["mkfs.vfat"],
}


@pytest.mark.programs
@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("partition", ["msdos", "gpt"])
def test_real_filesystems(tmp_path: Path, kind: str, partition: str) -> None:
    """`auto` takes them for raw and for bare, and they are found whole in the partition"""
    source = new_disk(tmp_path / "image", 320 * MIB)
    subprocess.run([*MAKERS[kind], str(source)], check=True, capture_output=True)
    with opened(source, choice.choose(partition, "auto", GIB), "auto") as image:
        disk = new_disk(tmp_path / "disk", image.virtual_size + 10 * MIB)
        deploy(image, disk)
    probed = subprocess.run(
        ["blkid", "-p", "-o", "export", "-O", str(MIB), "-S", str(320 * MIB), str(disk)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert f"TYPE={kind}" in probed.stdout
    compared = subprocess.run(["cmp", "-i", f"0:{MIB}", "-n", str(320 * MIB), str(source), str(disk)], check=False)
    assert compared.returncode == 0


@pytest.mark.programs
def test_a_filesystem_in_a_qcow2(tmp_path: Path) -> None:
    source = filesystem(tmp_path / "image", 8 * MIB)
    packed = tmp_path / "image.qcow2"
    subprocess.run(
        ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-c", str(source), str(packed)], check=True
    )
    for frame in FRAMES:
        with opened(packed, frame(), "auto") as image:
            content = content_of(image)
        assert content[MIB : 9 * MIB] == source.read_bytes()
        disk = tmp_path / "disk"
        disk.write_bytes(content)
        assert sfdisk(disk)["partitions"][0]["size"] == 8 * 2048


def test_the_bytes_are_those_of_the_extents_and_unpacked_in_parts_too(tmp_path: Path) -> None:
    source = filesystem(tmp_path / "image", 3 * MIB)
    frame = Gpt()
    with opened(source, frame) as image:
        assert content_of(image) == frame.head(3 * MIB) + source.read_bytes() + frame.tail(3 * MIB)
    assert len(frame.head(3 * MIB)) == frame.offset == MIB
    assert len(frame.tail(3 * MIB)) == GPT_TAIL


def test_what_an_msdos_table_cant_hold(tmp_path: Path) -> None:
    largest = MSDOS_MAX - MIB
    with opened(filesystem(tmp_path / "image", largest), Msdos()) as image:
        assert image.virtual_size == MSDOS_MAX
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .*2 TiB; give partition=gpt"):
        opened(filesystem(tmp_path / "image", largest + 512), Msdos())
    with opened(filesystem(tmp_path / "image", largest + 512), Gpt()) as image:
        assert image.virtual_size == MSDOS_MAX + 512 + GPT_TAIL


def test_a_disk_that_is_a_sector_short(tmp_path: Path) -> None:
    for frame in FRAMES:
        with opened(filesystem(tmp_path / "image", 3 * MIB), frame()) as image:
            disk = new_disk(tmp_path / "disk", image.virtual_size - 512)
            with open_disk(str(disk), image.virtual_size - 512) as short, pytest.raises(ProviderError) as caught:
                Writer(image, short).check()
        assert caught.value.code == "E-DISK-SMALL"


def test_every_disk_has_an_identity_of_its_own() -> None:
    msdos = [Msdos().head(MIB) for _ in range(3)]
    assert len({head[440:444] for head in msdos}) == 3
    gpts = [Gpt().head(MIB) for _ in range(3)]
    assert len({head[512 + 56 : 512 + 72] for head in gpts}) == 3
    assert len({head[1024 + 16 : 1024 + 32] for head in gpts}) == 3
    frame = Gpt()
    assert frame.head(MIB) == frame.head(MIB)


@pytest.mark.parametrize(
    ("partition", "image_format", "disk", "table"),
    [
        ("", "auto", GIB, None),
        ("no", "raw", GIB, None),
        ("", "diskdump", GIB, None),
        ("yes", "auto", GIB, Msdos),
        ("yes", "qcow2", MSDOS_MAX, Msdos),
        ("yes", "raw", MSDOS_MAX + 512, Gpt),
        ("yes", "extdump", 3 * TIB, Gpt),
        ("msdos", "raw", 3 * TIB, Msdos),
        ("gpt", "raw+gz", GIB, Gpt),
        ("", "extdump", 3 * TIB, Msdos),
        ("", "extdump+gz", GIB, Msdos),
        ("", "ntfsdump", GIB, Msdos),
        ("gpt", "ntfsdump", GIB, Gpt),
    ],
)
def test_which_table(partition: str, image_format: str, disk: int, table: Any) -> None:
    frame = choice.choose(partition, image_format, disk)
    assert (frame and type(frame)) == table


def test_the_type_follows_the_declared_format() -> None:
    for name, kind in (("extdump", 0x83), ("ntfsdump", 0x07)):
        frame = choice.choose("", name, GIB)
        assert frame is not None
        assert frame.head(MIB)[446 + 4] == kind


def test_the_reader_is_what_the_writer_wants(tmp_path: Path) -> None:
    path = filesystem(tmp_path / "image", MIB)
    with path.open("rb") as file:
        reader = FramedReader(RawReader(file.fileno(), MIB), Msdos())
        assert reader.format == "raw"
        assert sum(extent.length for extent in reader.extents()) == reader.virtual_size
    assert os.path.getsize(path) == MIB
