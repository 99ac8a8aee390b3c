"""qcow2 made by qemu-img and qemu-io, read as qemu-img reads it"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_host.errors import ProviderError
from helper_host.image.formats import open_reader
from helper_host.image.image import Image
from helper_host.image.opening import open_image
from helper_host.image.sources import Places

from .builders import MIB, qcow2
from .conftest import content_of

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img") or not shutil.which("qemu-io"), reason="needs qemu-utils")

SIZE = 6 * MIB + 512 * 7


def command(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=120)


def qemu_io(step: str, offset: int, length: int, cluster: int) -> str:
    """A command of qemu-io; compressed writes take whole clusters only"""
    verb, *flags = step.split()
    if "-c" in flags:
        offset, length = min(offset // cluster, SIZE // cluster - 1) * cluster, cluster
    return " ".join([verb, *flags, str(offset), str(length)])


OPTIONS = [
    "compat=v3",
    "compat=0.10",
    "cluster_size=512",
    "cluster_size=4096",
    "cluster_size=2M",
    "cluster_size=16k,extended_l2=on",
    "extended_l2=on,compression_type=zstd",
    "compression_type=zstd",
    "lazy_refcounts=on",
    "preallocation=metadata",
    "preallocation=falloc,cluster_size=32k",
]

PLACES = st.tuples(st.integers(0, SIZE // 512 - 1), st.integers(1, 600)).map(
    lambda pair: (pair[0] * 512, min(pair[1], SIZE // 512 - pair[0]) * 512)
)
WRITES = st.tuples(st.sampled_from(["write -P {}", "write -z", "write -z -u", "discard", "write -c -P {}"]), PLACES)
SNAPSHOT = st.just(("snapshot", (0, 0)))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(options=st.sampled_from(OPTIONS), steps=st.lists(WRITES | SNAPSHOT, max_size=12))
def test_reads_what_qemu_reads(options: str, steps: list[tuple[str, tuple[int, int]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, raw = Path(folder) / "image.qcow2", Path(folder) / "image.raw"
        command("qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(path), str(SIZE))
        batch: list[str] = []
        for pattern, (step, place) in enumerate([*steps, ("snapshot", (0, 0))], 1):
            if step != "snapshot":
                batch += ["-c", qemu_io(step.format(pattern), *place, 2 * MIB if "2M" in options else 65536)]
            elif batch:
                # -d unmap: discard makes holes; compressed writes onto used clusters fail, the others then still happen
                argv = ["qemu-io", "-d", "unmap", "-f", "qcow2", *batch, str(path)]
                subprocess.run(argv, check=False, capture_output=True, timeout=120)
                batch = []
                if "extended_l2" not in options:
                    command("qemu-img", "snapshot", "-c", f"s{pattern}", str(path))
        command("qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(path), str(raw))
        image = open_image(str(path), places=Places(folder, (folder,)))
        assert isinstance(image, Image) and image.format == "qcow2"
        with image:
            image.check_map(threading.Event())
            assert content_of(image) == raw.read_bytes()


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
@pytest.mark.parametrize("cluster", ["4k", "64k", "2M"])
def test_compressed_by_qemu(tmp_path: Path, compression: str, cluster: str) -> None:
    raw, packed = tmp_path / "raw", tmp_path / "packed"
    content = b"".join(n.to_bytes(4, "little") for n in range(SIZE // 8)).ljust(SIZE, b"\0")
    raw.write_bytes(content)
    options = f"compression_type={compression},cluster_size={cluster}"
    command("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, str(raw), str(packed))
    image = open_image("packed", places=Places(str(tmp_path), ()))
    assert isinstance(image, Image)
    with image:
        assert content_of(image) == content


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.one_of(
                st.integers(0, 120), st.integers(3 * 65536, 3 * 65536 + 16), st.integers(4 * 65536, 4 * 65536 + 64)
            ),
            st.integers(0, 255),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_bytes_end_in_a_verdict(changes: list[tuple[int, int]]) -> None:
    """Whatever a header or a table says: a disk's worth of bytes, or E-IMAGE-REFUSED"""
    image = bytearray(qcow2())
    for offset, value in changes:
        image[offset] = value
    with tempfile.TemporaryFile() as file:
        file.write(image)
        file.flush()
        try:
            reader = open_reader(file.fileno(), len(image), "qcow2")
            end = 0
            for extent in reader.extents():
                assert extent.offset == end
                end += extent.length
            assert end == reader.virtual_size
        except ProviderError as error:
            assert error.code == "E-IMAGE-REFUSED"
