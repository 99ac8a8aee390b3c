"""docs/images.md to the letter: its commands make images that are what it says, its references are such"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from pathlib import Path

import pytest

from helper_host.ganeti import values
from helper_host.image import sources
from helper_host.image.disk import open_disk
from helper_host.image.formats import FORMATS, names
from helper_host.image.image import Image
from helper_host.image.opening import open_image
from helper_host.image.sources import Places
from helper_host.image.stream_image import StreamImage
from helper_host.image.stream_writer import StreamWriter
from helper_host.image.writer import Writer
from tests import manual

PAGE = (manual.HERE / "docs" / "images.md").read_text(encoding="utf-8")
MIB = 1 << 20


def rows(heading: str) -> list[list[str]]:
    """Cells of the table whose first line has `heading`"""
    match = re.search(rf"(?m)^\|[^\n]*{re.escape(heading)}[^\n]*\|\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE)
    assert match, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in match[1].splitlines()]


def code(cell: str) -> list[str]:
    """What is between backticks"""
    return re.findall(r"`([^`]+)`", cell)


FORMAT_ROWS = [row for row in rows("how to make one") if len(row) == 3]
COMPRESSION_ROWS = [row for row in rows("compression | `-O image_format=`") if len(row) == 3]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with a disk, as raw and as qcow2, and a tree"""
    content = bytearray(8 * MIB)
    content[: 2 * MIB] = os.urandom(2 * MIB)
    content[510:512] = b"\x55\xaa"
    content[5 * MIB : 6 * MIB] = os.urandom(MIB)
    (tmp_path / "disk.raw").write_bytes(content)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "hello").write_text("hello\n")
    return tmp_path


def run(folder: Path, command: str) -> str:
    """Run it in the folder; the file it makes"""
    before = set(os.listdir(folder))
    subprocess.run(["bash", "-euc", command], cwd=folder, check=True, capture_output=True)
    (new,) = set(os.listdir(folder)) - before
    return new


def disk_bytes(image: Image | StreamImage | None, folder: Path) -> bytes:
    """What is on a disk of 16 MiB that the image was written to"""
    assert image is not None
    path = folder / ".disk"
    path.write_bytes(bytes(16 * MIB))
    with image, open_disk(str(path), 16 * MIB) as disk:
        writer = StreamWriter(image, disk) if isinstance(image, StreamImage) else Writer(image, disk)
        writer.write(lambda _done, _total: None, threading.Event())
        writer.write_head()
    return path.read_bytes()


@pytest.mark.programs
@pytest.mark.parametrize("row", FORMAT_ROWS[:-1], ids=lambda row: row[0])
def test_formats(made: Path, row: list[str]) -> None:
    content = (made / "disk.raw").read_bytes()
    (command,) = code(row[2])
    if "disk.qcow2 disk.raw" in command:
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", "disk.raw", "disk.qcow2"], cwd=made, check=True)
        (made / "disk.raw").unlink()
    path = str(made / run(made, command))
    places = Places(str(made), (str(made),))
    for name in ["auto", *code(row[1])]:
        found = disk_bytes(open_image(path, places=places, image_format=values.image_format(name)), made)
        assert found == content + bytes(8 * MIB), name


@pytest.mark.programs
def test_one_filesystem(made: Path) -> None:
    row = FORMAT_ROWS[-1]
    path = made / run(made, code(row[2])[0])
    for name in code(row[1])[:2]:
        image = open_image(str(path), places=Places(str(made), (str(made),)), image_format=values.image_format(name))
        assert isinstance(image, Image) and image.is_raw and image.virtual_size == path.stat().st_size
        image.close()
        assert names.parse(name).filesystem


@pytest.mark.programs
@pytest.mark.parametrize("row", COMPRESSION_ROWS, ids=lambda row: row[0])
def test_compressions(made: Path, row: list[str]) -> None:
    content = (made / "disk.raw").read_bytes()
    (made / "keep").write_bytes(content)
    subprocess.run(["bash", "-euc", code(row[2])[0]], cwd=made, check=True, capture_output=True)
    (packed,) = {name for name in os.listdir(made) if name.startswith("disk.raw.")}
    for name in ["auto", *code(row[1])]:
        image = open_image(
            str(made / packed), places=Places(str(made), (str(made),)), image_format=values.image_format(name)
        )
        assert isinstance(image, StreamImage), "written while it is unpacked"
        assert disk_bytes(image, made) == content + bytes(8 * MIB)


def test_every_format_and_compression_is_on_the_page() -> None:
    shown = {name for row in [*FORMAT_ROWS, *COMPRESSION_ROWS] for name in code(row[1])}
    declared = [names.parse(name) for name in shown if "=" not in name]
    assert {each.format for each in declared} == {row.name for row in FORMATS}
    assert {each.compression for each in declared} == {"", *names.COMPRESSIONS.values()}


def test_references_are_what_the_page_says() -> None:
    found = {}
    for row in rows("source | `-O image=`"):
        for reference in code(row[1]):
            values.image(reference)
            found[reference] = sources.source_of(reference).name
    assert found["debian-12"] == "store" and found["none"] == found["null"] == "none"
    assert set(found.values()) == {row.name for row in sources.SOURCES}, "each source has an example"
