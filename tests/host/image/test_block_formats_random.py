"""vmdk, vdi, vhd and vhdx made by qemu-img and qemu-io, read as qemu-img reads them"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_host.image.image import Image
from helper_host.image.opening import open_image
from helper_host.image.sources import Places

from .builders import MIB
from .conftest import content_of, deploy, new_disk
from .test_block_formats import GOOD

pytestmark = pytest.mark.programs

SIZE = 6 * MIB + 512 * 7
MADE = [
    ("vmdk", "vmdk", "subformat=monolithicSparse"),
    ("vmdk", "vmdk", "subformat=monolithicSparse,zeroed_grain=on"),
    ("vmdk", "vmdk", "subformat=monolithicSparse,compat6=on"),
    ("vdi", "vdi", "preallocation=off"),
    ("vdi", "vdi", "static=on"),
    ("vhd", "vpc", "subformat=dynamic"),
    ("vhd", "vpc", "subformat=dynamic,force_size=on"),
    ("vhd", "vpc", "subformat=fixed,force_size=on"),
    ("vhdx", "vhdx", "subformat=dynamic"),
    ("vhdx", "vhdx", "subformat=dynamic,block_size=1M,block_state_zero=off"),
    ("vhdx", "vhdx", "subformat=fixed,block_size=2M"),
]
CONVERTED = [*MADE, ("vmdk", "vmdk", "subformat=streamOptimized"), ("vhd", "vpc", "subformat=fixed")]

PLACES = st.tuples(st.integers(0, SIZE // 512 - 1), st.integers(1, 600)).map(
    lambda pair: (pair[0] * 512, min(pair[1], SIZE // 512 - pair[0]) * 512)
)
WRITES = st.tuples(st.sampled_from(["write -P {}", "write -z"]), PLACES)


def command(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=120)


def check(path: Path, name: str, theirs: str) -> None:
    """Declared and in auto, our bytes are those of qemu-img"""
    raw = path.with_suffix(".raw")
    command("qemu-img", "convert", "-f", theirs, "-O", "raw", str(path), str(raw))
    for image_format in (name, "auto"):
        image = open_image(str(path), places=Places(str(path.parent), (str(path.parent),)), image_format=image_format)
        assert isinstance(image, Image) and image.format == name
        with image:
            image.check_map(threading.Event())
            assert content_of(image) == raw.read_bytes()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=st.sampled_from(MADE), steps=st.lists(WRITES, max_size=12))
def test_reads_what_qemu_wrote(made: tuple[str, str, str], steps: list[tuple[str, tuple[int, int]]]) -> None:
    name, theirs, options = made
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        command("qemu-img", "create", "-q", "-f", theirs, "-o", options, str(path), str(SIZE))
        batch: list[str] = []
        for pattern, (step, (offset, length)) in enumerate(steps, 1):
            batch += ["-c", f"{step.format(pattern)} {offset} {length}"]
        if batch:
            command("qemu-io", "-f", theirs, *batch, str(path))
        check(path, name, theirs)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=st.sampled_from(CONVERTED), parts=st.lists(PLACES, max_size=8), size=st.integers(1, SIZE // 512))
def test_reads_what_qemu_converted(made: tuple[str, str, str], parts: list[tuple[int, int]], size: int) -> None:
    name, theirs, options = made
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder) / "source", Path(folder) / "image"
        disk = bytearray(SIZE)
        for number, (offset, length) in enumerate(parts, 1):
            disk[offset : offset + length] = bytes((number + n) % 256 for n in range(512)) * (length // 512)
        source.write_bytes(disk[: size * 512])
        command("qemu-img", "convert", "-f", "raw", "-O", theirs, "-o", options, str(source), str(path))
        check(path, name, theirs)


@pytest.mark.parametrize(("name", "theirs", "options"), CONVERTED)
def test_onto_a_disk(tmp_path: Path, name: str, theirs: str, options: str) -> None:
    """By the writer, with threads: several tables of vmdk, entries for bitmaps of vhdx, data here and there"""
    size = 80 * MIB
    source, path = tmp_path / "source", tmp_path / "image"
    with source.open("wb") as file:
        for place in (0, 31, 32, 33, 64, 79):
            file.seek(place * MIB + 4096)
            file.write(bytes(range(place, place + 100)) * 3000)
        file.truncate(size)
    command("qemu-img", "convert", "-f", "raw", "-O", theirs, "-o", options, str(source), str(path))
    image = open_image(str(path), places=Places(str(tmp_path), (str(tmp_path),)), image_format=name)
    assert isinstance(image, Image)
    disk = new_disk(tmp_path / "disk", 96 * MIB)
    with image:
        deploy(image, disk)
    assert disk.read_bytes() == source.read_bytes().ljust(96 * MIB, b"\0")


@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [("qcow2", "qcow2", "preallocation=metadata"), ("vhdx", "vhdx", "block_size=32M"), ("vdi", "vdi", "static=on")],
)
def test_holes_of_the_file_are_not_read(tmp_path: Path, name: str, theirs: str, options: str) -> None:
    """Blocks that are mapped but were never written to are zeros, as the filesystem knows"""
    path = tmp_path / "image"
    command("qemu-img", "create", "-q", "-f", theirs, "-o", options, str(path), "256M")
    command("qemu-io", "-f", theirs, "-c", "write -P 7 40M 1M", "-c", "write -P 8 200M 64k", str(path))
    check(path, name, theirs)
    image = open_image(str(path), places=Places(str(tmp_path), (str(tmp_path),)), image_format=name)
    assert isinstance(image, Image)
    with image:
        assert MIB <= image.check_map(threading.Event()) < 4 * MIB


OTHERWISE = {
    "vdi small blocks": "QEMU reads blocks of 1 MiB only, VirtualBox makes others where it is told to",
    "vhd sectors never written": "QEMU takes what is there for written, the specification and VirtualBox for zeros",
    "vhd no sector written": "the same",
    "vhd by VirtualBox": "QEMU believes the geometry, see vhd.GEOMETRY_CREATORS",
}
"""Good images that we read in another way than QEMU, and why."""


@pytest.mark.parametrize("case", GOOD)
def test_qemu_reads_the_same_in_images_made_by_hand(tmp_path: Path, case: str) -> None:
    name, content, disk = GOOD[case]
    path, raw = tmp_path / "image", tmp_path / "raw"
    path.write_bytes(content)
    argv = ["qemu-img", "convert", "-f", "vpc" if name == "vhd" else name, "-O", "raw", str(path), str(raw)]
    done = subprocess.run(argv, check=False, capture_output=True, timeout=120)
    assert (done.returncode == 0 and raw.read_bytes() == disk) is (case not in OTHERWISE)
