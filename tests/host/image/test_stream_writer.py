"""Raw images that are written while they come: right to the last byte, or a disk without a head"""

from __future__ import annotations

import hashlib
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image import opening
from helper_host.image.cache.spec import CacheSpec
from helper_host.image.content import Content, Piece, Progress
from helper_host.image.disk import HEAD, TAIL, open_disk
from helper_host.image.frame import Frame
from helper_host.image.image import Image
from helper_host.image.integrity import checksum
from helper_host.image.integrity.base import NOTHING, Integrity
from helper_host.image.integrity.resolve import of_checksum
from helper_host.image.opening import open_image
from helper_host.image.partitioning import choice
from helper_host.image.sources import Places
from helper_host.image.stream_image import StreamImage
from helper_host.image.stream_writer import StreamWriter
from helper_host.image.writer import WriteResult

from .conftest import deploy as deploy_file
from .conftest import new_disk, quiet
from .packing import MIB, PACK, SUFFIX, zero_bomb, zstd

pytestmark = pytest.mark.programs

KINDS = sorted(PACK)
OLD = b"\xee"
CONTENT = (
    b"\xfahead of a disk"
    + bytes(2 * MIB)
    + random.Random(3).randbytes(3 * MIB)
    + bytes(MIB)
    + b"the backup of a table".rjust(700, b".")
)
CONTENT += bytes(-len(CONTENT) % 512)


class Coming(Content):
    """What a download gives: its first bytes at once, the others when they are asked for, once"""

    def __init__(self, data: bytes, *, size: int | None = None, piece: int = 300_001) -> None:
        self.name = self.file_name = "https://images.example/one"
        self.size = size
        self._data = data
        self._piece = piece
        self.given = 0
        self.closed = False

    def peek(self, length: int) -> bytes:
        return self._data[:length]

    def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
        for start in range(0, len(self._data), self._piece):
            yield memoryview(self._data)[start : start + self._piece]
            self.given += self._piece

    def whole(self, progress: Progress, cancel: threading.Event) -> int:
        raise AssertionError("nobody may want this as a file")

    def close(self) -> None:
        self.closed = True


Open = Callable[..., StreamImage]


@pytest.fixture
def coming(monkeypatch: pytest.MonkeyPatch, places: Places) -> Open:
    """Opens bytes that are still to come"""

    def make(
        content: Content | bytes,
        image_format: str = "auto",
        integrity: Integrity = NOTHING,
        frame: Frame | None = None,
    ) -> StreamImage:
        source = Coming(content) if isinstance(content, bytes) else content
        monkeypatch.setattr(opening, "open_reference", lambda *_: source)
        image = open_image("x", places=places, image_format=image_format, integrity=integrity, frame=frame)
        assert isinstance(image, StreamImage)
        return image

    return make


@pytest.fixture
def local(places: Places) -> Open:
    """Opens a file of the node"""

    def make(content: bytes, image_format: str = "auto", **how: object) -> StreamImage:
        path = Path(places.folders[0]) / "image"
        path.write_bytes(content)
        image = open_image(str(path), places=places, image_format=image_format, **how)  # type: ignore[arg-type]
        assert isinstance(image, StreamImage)
        return image

    return make


def deploy(image: StreamImage, path: Path, *, clear_rest: bool = True) -> WriteResult:
    with image, open_disk(str(path), path.stat().st_size) as disk:
        writer = StreamWriter(image, disk, clear_rest=clear_rest)
        result = writer.write(quiet, threading.Event())
        assert path.read_bytes()[:HEAD] == bytes(HEAD), "the head comes last"
        writer.write_head()
    return result


def refused(image: StreamImage, path: Path, code: str) -> None:
    """It fails, and nothing of the head is on the disk"""
    with image, open_disk(str(path), path.stat().st_size) as disk, pytest.raises(ProviderError, match=code):
        StreamWriter(image, disk).write(quiet, threading.Event())
    content = path.read_bytes()
    assert content[:HEAD] == bytes(HEAD) and b"backup of a table" not in content


def disk_of(tmp_path: Path, size: int, old: bytes = OLD) -> Path:
    path = new_disk(tmp_path / "disk", size)
    if old:
        path.write_bytes(old * size)
    return path


@pytest.mark.parametrize("old", [b"", OLD], ids=["fresh", "reused"])
@pytest.mark.parametrize("extra", [0, 512, 5 * MIB])
@pytest.mark.parametrize("kind", ["raw", *KINDS])
def test_what_comes_is_on_the_disk(tmp_path: Path, coming: Open, kind: str, extra: int, old: bytes) -> None:
    path = disk_of(tmp_path, len(CONTENT) + extra, old)
    image = coming(CONTENT if kind == "raw" else PACK[kind](CONTENT))
    assert image.format == ("raw" if kind == "raw" else f"raw+{kind}")
    result = deploy(image, path)
    assert path.read_bytes() == CONTENT + bytes(extra)
    assert result.size == len(CONTENT) and 3 * MIB < result.written < 4 * MIB


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("declared", ["auto", "raw+{}"])
def test_a_local_file(tmp_path: Path, local: Open, kind: str, declared: str) -> None:
    path = disk_of(tmp_path, len(CONTENT) + MIB)
    deploy(local(PACK[kind](CONTENT), declared.format(SUFFIX[kind])), path)
    assert path.read_bytes() == CONTENT + bytes(MIB)


@pytest.mark.parametrize("length", [512, 513, HEAD - 1, HEAD, HEAD + 1, 2 * MIB, 3 * MIB - 1, 3 * MIB + TAIL + 1])
def test_lengths(tmp_path: Path, coming: Open, length: int) -> None:
    """A last part of a sector is filled up with zeros"""
    content = b"\1" * length
    path = disk_of(tmp_path, 4 * MIB)
    deploy(coming(Coming(content, piece=777)), path)
    assert path.read_bytes() == content.ljust(4 * MIB, b"\0")


def test_what_is_behind_the_image_may_stay(tmp_path: Path, coming: Open) -> None:
    path = disk_of(tmp_path, 16 * MIB)
    deploy(coming(zstd(CONTENT)), path, clear_rest=False)
    content = path.read_bytes()
    assert content[: len(CONTENT)] == CONTENT and content[len(CONTENT) : -TAIL] == OLD * (
        16 * MIB - len(CONTENT) - TAIL
    )


# --- what a disk is before it is known that all is well ---------------------------------------------------------------


def test_the_end_is_kept_back_too(tmp_path: Path, coming: Open) -> None:
    path = disk_of(tmp_path, 16 * MIB, b"")
    with coming(zstd(CONTENT)) as image, open_disk(str(path), 16 * MIB) as disk:
        writer = StreamWriter(image, disk)
        writer.write(quiet, threading.Event())
        assert b"backup of a table" not in path.read_bytes()
        assert path.read_bytes()[3 * MIB : 4 * MIB] == CONTENT[3 * MIB : 4 * MIB]
        writer.write_head()
    assert path.read_bytes()[: len(CONTENT)] == CONTENT


@pytest.mark.parametrize("kind", ["raw", *KINDS])
def test_one_bit_of_a_download_is_flipped(tmp_path: Path, coming: Open, kind: str) -> None:
    packed = CONTENT if kind == "raw" else PACK[kind](CONTENT)
    integrity = of_checksum(checksum.parse("sha256:" + hashlib.sha256(packed).hexdigest()))
    damaged = bytearray(packed)
    damaged[len(damaged) // 2] ^= 1
    refused(coming(bytes(damaged), integrity=integrity), disk_of(tmp_path, 16 * MIB), "E-IMAGE-(CHECKSUM|REFUSED)")


@pytest.mark.parametrize("kind", ["raw", *KINDS])
def test_a_download_is_another_one(tmp_path: Path, coming: Open, kind: str) -> None:
    packed = CONTENT if kind == "raw" else PACK[kind](CONTENT)
    integrity = of_checksum(checksum.parse("sha512:" + "0" * 128))
    refused(coming(packed, integrity=integrity), disk_of(tmp_path, 16 * MIB), "E-IMAGE-CHECKSUM")


@pytest.mark.parametrize("kind", KINDS)
def test_a_local_file_is_checked_before_anything_is_written(tmp_path: Path, local: Open, kind: str) -> None:
    packed = PACK[kind](CONTENT)
    image = local(packed, integrity=of_checksum(checksum.parse("sha256:" + "0" * 64)))
    with image, pytest.raises(ProviderError, match="E-IMAGE-CHECKSUM"):
        image.verify(quiet, threading.Event())
    right = local(packed, integrity=of_checksum(checksum.parse("sha256:" + hashlib.sha256(packed).hexdigest())))
    path = disk_of(tmp_path, 8 * MIB)
    right.verify(quiet, threading.Event())
    deploy(right, path)
    assert path.read_bytes() == CONTENT.ljust(8 * MIB, b"\0")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_a_file_that_ends_early(tmp_path: Path, coming: Open, kind: str, share: float) -> None:
    packed = PACK[kind](CONTENT)
    # compressed for the most part of random bytes, so that the first plain ones come from any of these
    path = disk_of(tmp_path, 16 * MIB)
    try:
        image = coming(packed[: int(len(packed) * share)])
    except ProviderError as error:
        # a file that is as small as what is looked at before is refused before
        assert error.code == "E-IMAGE-REFUSED" and len(packed) * share < MIB
        return
    refused(image, path, "E-IMAGE-REFUSED: .* ends early")


@pytest.mark.parametrize("signature", ["vhd", "dmg", "vmdk"])
def test_what_its_end_says_it_is(tmp_path: Path, coming: Open, signature: str) -> None:
    word, place = {"vhd": (b"conectix", -512), "dmg": (b"koly", -512), "vmdk": (b"KDMV", -1024)}[signature]
    content = CONTENT + bytes(1024)
    content = content[:place] + word + content[len(content) + place + len(word) :]
    refused(coming(zstd(content)), disk_of(tmp_path, 16 * MIB), f"E-IMAGE-REFUSED: .*{signature}")
    path = disk_of(tmp_path, 16 * MIB)
    deploy(coming(zstd(content), "raw+zstd"), path)
    assert path.read_bytes() == content.ljust(16 * MIB, b"\0"), "whoever says that it is raw gets it"


# --- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["xz", "zstd"])
def test_a_file_that_says_it_is_too_large(tmp_path: Path, local: Open, kind: str) -> None:
    path = disk_of(tmp_path, len(CONTENT) - 512)
    with local(PACK[kind](CONTENT)) as image, open_disk(str(path), path.stat().st_size) as disk:
        assert image.virtual_size == len(CONTENT)
        with pytest.raises(ProviderError, match=r"E-DISK-SMALL: The image needs a disk of 7 MiB"):
            StreamWriter(image, disk).check()
    assert path.read_bytes() == OLD * (len(CONTENT) - 512)


@pytest.mark.parametrize("kind", ["raw", "gzip", "bzip2", "xz"])
def test_a_download_that_turns_out_too_large(tmp_path: Path, coming: Open, kind: str) -> None:
    image = coming(CONTENT if kind == "raw" else PACK[kind](CONTENT))
    assert image.virtual_size is None
    refused(image, disk_of(tmp_path, len(CONTENT) - 512), "E-DISK-SMALL: The image needs a larger disk, this one has")


def test_a_download_whose_size_is_known(coming: Open) -> None:
    assert coming(Coming(CONTENT, size=len(CONTENT))).virtual_size == len(CONTENT)
    assert coming(zstd(CONTENT)).virtual_size == len(CONTENT)
    assert coming(PACK["bzip2"](CONTENT)).virtual_size is None


def test_sixty_terabytes_of_zeros_end_soon(tmp_path: Path, coming: Open) -> None:
    bomb = zero_bomb(4 << 30)

    class Bomb(Coming):
        def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
            for _ in range(15_000):
                self.given += len(bomb)
                yield bomb

    source = Bomb(bomb)
    path = disk_of(tmp_path, 64 * MIB, b"")
    before = time.monotonic()
    refused(coming(source), path, "E-DISK-SMALL")
    assert time.monotonic() - before < 3 and source.given < 100 * MIB


@pytest.mark.parametrize("length", [0, 1, 511])
def test_too_few_bytes_for_a_disk(coming: Open, length: int) -> None:
    for content in (b"\1" * length, zstd(b"\1" * length)):
        with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .* too few for a disk"):
            coming(content)


@pytest.mark.parametrize("partition", ["msdos", "gpt"])
@pytest.mark.parametrize("kind", ["raw", "zstd"])
def test_a_filesystem_gets_its_table_when_its_size_is_known(
    tmp_path: Path, coming: Open, places: Places, partition: str, kind: str
) -> None:
    """The same disk as that of a file at hand"""
    content = bytes(1024) + CONTENT[1024:-512]
    image = Path(places.folders[0]) / "filesystem"
    image.write_bytes(content)
    disks = []
    frames: dict[str, Frame] = {}
    for name, frame_of in (("a", "file"), ("b", "stream")):
        path = new_disk(tmp_path / name, 16 * MIB)
        frame = choice.choose(partition, "extdump", 16 * MIB)
        assert frame is not None
        # both with the identities of one
        frame = frames.setdefault(partition, frame)
        if frame_of == "stream":
            deploy(coming(content if kind == "raw" else zstd(content), frame=frame), path)
        else:
            opened = open_image(str(image), places=places, frame=frame, image_format="raw")
            assert isinstance(opened, Image)
            deploy_file(opened, path)
        disks.append(path.read_bytes())
    assert disks[0] == disks[1] and disks[0][MIB : MIB + len(content)] == content


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.timed
@pytest.mark.parametrize("kind", ["raw", "gzip", "xz"])
def test_cancelled(tmp_path: Path, coming: Open, kind: str) -> None:
    cancel = threading.Event()

    class Slow(Coming):
        def pieces(self, cancel: threading.Event) -> Iterator[Piece]:
            for number, piece in enumerate(super().pieces(cancel)):
                if number == 3 and cancel.wait(20):
                    return
                yield piece

    source = Slow(CONTENT if kind == "raw" else PACK[kind](CONTENT), piece=10_000)
    threading.Timer(0.3, cancel.set).start()
    path = disk_of(tmp_path, 16 * MIB)
    before = time.monotonic()
    with coming(source) as image, open_disk(str(path), 16 * MIB) as disk, pytest.raises(ProviderError):
        StreamWriter(image, disk).write(quiet, cancel)
    assert time.monotonic() - before < 1.5 and source.closed
    assert path.read_bytes()[:HEAD] == bytes(HEAD)


def test_a_disk_that_fails_ends_what_comes(tmp_path: Path, coming: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Coming(zstd(random.Random(1).randbytes(40 * MIB)))
    path = disk_of(tmp_path, 64 * MIB, b"")
    with coming(source) as image, open_disk(str(path), 64 * MIB) as disk:

        def full(data: object, offset: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(disk, "write", full)
        with pytest.raises(ProviderError, match=r"E-DISK-IO: The filesystem that holds .* is full"):
            StreamWriter(image, disk).write(quiet, threading.Event())
    assert source.given < 40 * MIB and source.closed


def test_progress_is_that_of_the_packed_bytes(tmp_path: Path, coming: Open) -> None:
    packed = PACK["xz"](CONTENT)
    path = disk_of(tmp_path, 16 * MIB, b"")
    told: list[tuple[int, int]] = []
    with coming(Coming(packed, size=len(packed))) as image, open_disk(str(path), 16 * MIB) as disk:
        StreamWriter(image, disk).write(lambda done, total: told.append((done, total)), threading.Event())
    assert told == sorted(told) and told[-1] == (len(packed), len(packed))


@pytest.mark.root
def test_a_block_device(tmp_path: Path, coming: Open) -> None:
    backing = disk_of(tmp_path, 16 * MIB)
    argv = ["losetup", "--find", "--show", str(backing)]
    loop = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        content = CONTENT[:-200]
        with coming(zstd(content)) as image, open_disk(loop, 16 * MIB) as disk:
            writer = StreamWriter(image, disk)
            writer.write(quiet, threading.Event())
            writer.write_head()
        assert Path(loop).read_bytes() == content.ljust(16 * MIB, b"\0")
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)


# --- what needs random access -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_block_format_is_unpacked_to_a_file(tmp_path: Path, places: Places, kind: str) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(CONTENT)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, tmp_path / "q"], check=True)
    packed = PACK[kind]((tmp_path / "q").read_bytes())
    path = Path(places.folders[0]) / f"image.{SUFFIX[kind]}"
    path.write_bytes(packed)
    cache = tmp_path / "cache"
    places = places._replace(cache=CacheSpec(str(cache)))
    told: list[tuple[int, int]] = []
    for declared in ("auto", f"qcow2+{SUFFIX[kind]}"):
        image = open_image(
            str(path), places=places, image_format=declared, progress=lambda done, total: told.append((done, total))
        )
        assert isinstance(image, Image)
        assert (image.format, image.virtual_size) == (f"qcow2+{kind}", len(CONTENT))
        disk = new_disk(tmp_path / declared.replace("+", "-"), 16 * MIB)
        deploy_file(image, disk)
        image.close()
        assert disk.read_bytes() == CONTENT.ljust(16 * MIB, b"\0")
    assert told[-1] == (len(packed), len(packed))
    assert not [name for name in cache.rglob("*") if name.is_file() and name.stat().st_size > MIB]


def test_what_is_compressed_twice_is_refused(coming: Open) -> None:
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: The image is compressed \(gzip\)"):
        coming(zstd(PACK["gzip"](CONTENT)))


def test_declared_raw_is_never_unpacked(tmp_path: Path, coming: Open) -> None:
    packed = PACK["gzip"](CONTENT)
    path = disk_of(tmp_path, 16 * MIB)
    deploy(coming(packed, "raw"), path)
    assert path.read_bytes() == packed.ljust(16 * MIB, b"\0")


def test_declared_otherwise(coming: Open) -> None:
    with pytest.raises(ProviderError, match="E-IMAGE-REFUSED"):
        coming(PACK["gzip"](CONTENT), "raw+xz")
