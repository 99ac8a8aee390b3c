"""What a file is taken for, and raw images"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.formats import FORMATS, Extent, decide, formats_at_end, formats_at_start, joined, open_reader
from helper_host.image.formats.magic import BOOT_SIGNATURE, HEAD, MAGICS, TAIL
from helper_host.image.formats.names import COMPRESSIONS
from helper_host.image.image import Image
from helper_host.image.opening import open_image
from helper_host.image.sources import Places

from .builders import MIB, qcow2
from .conftest import Opener, content_of, deploy, new_disk

FOREIGN = [magic for magic in MAGICS if magic.format != "qcow2"]
READ_HERE = {row.name for row in FORMATS}
UNPACKED_HERE = set(COMPRESSIONS.values())


def with_magic(offset: int, signature: bytes, base: bytes = bytes(MIB)) -> bytes:
    start = offset if offset >= 0 else len(base) + offset
    return (base[:start] + signature + base[start + len(signature) :])[: len(base)]


@pytest.mark.parametrize("magic", FOREIGN, ids=lambda magic: f"{magic.format}@{magic.offset}")
def test_other_formats_are_not_taken_for_raw(opened: Opener, magic: tuple[str, int, bytes]) -> None:
    words = {"": f"{magic[0]}.*image_format=raw", "read": magic[0], "unpacked": ""}
    kind = "read" if magic[0] in READ_HERE else "unpacked" if magic[0] in UNPACKED_HERE else ""
    with pytest.raises(ProviderError, match=f"E-IMAGE-REFUSED: .*{words[kind]}"):
        opened(with_magic(magic[1], magic[2]))


@pytest.mark.parametrize("magic", FOREIGN, ids=lambda magic: f"{magic.format}@{magic.offset}")
def test_raw_that_was_asked_for_is_never_interpreted(
    opened: Opener, tmp_path: Path, magic: tuple[str, int, bytes]
) -> None:
    content = with_magic(magic[1], magic[2])
    disk = new_disk(tmp_path / "disk", 2 * MIB)
    deploy(opened(content, "raw"), disk)
    assert disk.read_bytes() == content + bytes(MIB)


@pytest.mark.parametrize("magic", [m for m in FOREIGN if m.offset > 8 or m.offset < 0], ids=lambda m: m.format)
@pytest.mark.parametrize("image_format", ["auto", "qcow2"])
def test_qcow2_that_is_something_else_too(opened: Opener, magic: tuple[str, int, bytes], image_format: str) -> None:
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .*several formats"):
        opened(with_magic(magic[1], magic[2], qcow2()), image_format)


def test_qcow2_with_a_boot_sector(opened: Opener) -> None:
    with pytest.raises(ProviderError, match=r"several formats at once \(qcow2, mbr\)"):
        opened(with_magic(510, BOOT_SIGNATURE, qcow2()))


# as grub-install writes it to a disk's first sector
GRUB = (
    b"\xeb\x63\x90".ljust(384, b"\x90")
    + b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0".ljust(62, b"\0")
    + bytes(64)
    + BOOT_SIGNATURE
)


@pytest.mark.parametrize(
    ("start", "end", "verdict"),
    [
        (GRUB, b"", "raw"),
        (GRUB + b"EFI PART", bytes(512), "raw"),
        (bytes(1080) + b"\x53\xef", b"", "raw"),  # a bare ext filesystem
        (GRUB, b"conectix" + bytes(504), "vhd"),
        (GRUB, b"conectix" + bytes(503), "vhd"),
        (b"conectix", b"conectix" + bytes(504), "vhd"),
        (b"QFI\xfb\0\0\0\3", b"", "qcow2"),
        (b"KDMV", b"KDMV" + bytes(1020), "vmdk"),
        (bytes(64) + b"\x7f\x10\xda\xbe", b"", "vdi"),
        (b"vhdxfile", b"", "vhdx"),
        (b"QFI\xfb\0\0\0\3", b"conectix" + bytes(504), "several formats at once .qcow2, vhd."),
        (with_magic(510, BOOT_SIGNATURE, b"conectix".ljust(512, b"\0")), b"", "several formats at once .vhd, mbr."),
        (with_magic(510, BOOT_SIGNATURE, b"KDMV".ljust(512, b"\0")), b"", "several formats at once .vmdk, mbr."),
        (bytes(0x8001) + b"CD001", b"", "looks like iso"),
        (GRUB + bytes(0x8001 - 512) + b"CD001", b"", "several formats at once .iso, mbr."),
        (bytes(512), b"koly" + bytes(508), "looks like dmg"),
        (b"\x1f\x8b\x08", b"", "compressed .gzip."),
        (with_magic(510, BOOT_SIGNATURE, b"\x1f\x8b\x08".ljust(512, b"\1")), b"", "compressed .gzip."),
        (b"QFI\xfb\0\0\0\1", b"", "looks like qcow,"),
        (b"LUKS\xba\xbe", b"", "looks like luks"),
    ],
)
def test_verdict_by_both_ends(start: bytes, end: bytes, verdict: str) -> None:
    """What a stream is taken for: by its head before it is written, and by its tail once that has come"""
    file = start.ljust(HEAD, b"\0") + bytes(MIB) + end
    found = joined(formats_at_start(file[:HEAD]), formats_at_end(file[-TAIL:], len(file)))
    assert joined(formats_at_start(file), formats_at_end(file, len(file))) == found
    try:
        assert decide(found) == verdict
    except ProviderError as error:
        assert error.code == "E-IMAGE-REFUSED"
        assert re.search(verdict, str(error))


def test_too_few_bytes_to_judge_by() -> None:
    with pytest.raises(ValueError, match="too few"):
        formats_at_end(bytes(512), MIB)
    assert formats_at_end(b"conectix" + bytes(504), 512) == ("vhd",)
    assert formats_at_end(b"", 0) == formats_at_start(b"") == ()


@pytest.mark.parametrize("name", sorted(READ_HERE - {"raw"}))
def test_declared_is_what_it_must_be(opened: Opener, name: str) -> None:
    """Whatever else its bytes look like is refused, even where the declared format isn't there at all"""
    other = b"QED\0".ljust(MIB, b"\0")
    with pytest.raises(ProviderError, match=f"E-IMAGE-REFUSED: The image is not {name} but looks like qed"):
        opened(other, name)


def test_image_that_can_not_be_read(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    image = opened(qcow2())

    def fail(fd: int, buffers: object, offset: int) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .*can't be read \(Input/output error\)"):
        image.check_map(threading.Event())
    monkeypatch.setattr(os, "pread", lambda *_: fail(0, [], 0))
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .*can't be read \(Input/output error\)"):
        open_reader(image.fileno(), 1 << 20, "auto")


def test_raw_with_a_boot_sector(opened: Opener) -> None:
    assert opened(with_magic(510, BOOT_SIGNATURE)).format == "raw"


def test_raw_disk_that_starts_like_qcow2(opened: Opener, tmp_path: Path, canary: Path) -> None:
    """A guest that wrote a qcow2 header into its own raw disk gets these bytes back and nothing else"""
    name = str(canary).encode()
    content = qcow2(backing=512, backing_size=len(name), extensions=bytes(8) + bytes(392) + name)
    disk = new_disk(tmp_path / "disk", 4 * MIB)
    deploy(opened(content, "raw"), disk)
    assert disk.read_bytes() == content.ljust(4 * MIB, b"\0")


def test_format_is_what_the_file_says(opened: Opener) -> None:
    assert opened(qcow2()).format == "qcow2"
    assert opened(b"\1" * 4096).format == "raw"


def test_qcow2_that_is_none(opened: Opener) -> None:
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: The image is not qcow2"):
        opened(b"\1" * 4096, "qcow2")


def test_unknown_format(opened: Opener) -> None:
    image = opened(b"\1" * 4096)
    with pytest.raises(ProviderError, match=r"E-PARAMETER: image_format=floppy .*auto, raw, qcow2"):
        open_reader(image.fileno(), 4096, "floppy")


@pytest.mark.parametrize("size", [0, 1, 511])
@pytest.mark.parametrize("image_format", ["auto", "raw", "qcow2"])
def test_too_short(opened: Opener, size: int, image_format: str) -> None:
    with pytest.raises(ProviderError, match="E-IMAGE-REFUSED"):
        opened(b"Q" * size, image_format)


@pytest.mark.parametrize("size", [512, 513, 4095, 4096, 100_001])
def test_raw_is_filled_up_to_whole_sectors(opened: Opener, size: int) -> None:
    image = opened(b"\1" * size)
    assert image.virtual_size == -(-size // 512) * 512
    assert content_of(image) == (b"\1" * size).ljust(image.virtual_size, b"\0")


@pytest.mark.parametrize("end", [5 * MIB, 5 * MIB + 1, 5 * MIB + 4095])
def test_holes_of_a_raw_image(places: Places, end: int) -> None:
    path = Path(places.store) / "sparse"
    with path.open("wb") as file:
        file.seek(2 * MIB)
        file.write(b"\1" * 65536)
        file.truncate(end)
    image = open_image("sparse", places=places)
    assert isinstance(image, Image)
    assert list(image.extents()) == [
        Extent(0, 2 * MIB, None),
        Extent(2 * MIB, 65536, 2 * MIB),
        Extent(2 * MIB + 65536, image.virtual_size - 2 * MIB - 65536, None),
    ]
    assert content_of(image) == path.read_bytes().ljust(image.virtual_size, b"\0")


def test_only_holes(places: Places) -> None:
    with (Path(places.store) / "hole").open("wb") as file:
        file.truncate(1 << 40)
    image = open_image("hole", places=places)
    assert isinstance(image, Image)
    assert list(image.extents()) == [Extent(0, 1 << 40, None)]


def test_image_that_changes_is_noticed(opened: Opener) -> None:
    image = opened(b"\1" * 4096)
    image.check_unchanged()
    with Path(image.path).open("ab") as file:
        file.write(b"more")
    with pytest.raises(ProviderError, match=r"E-IMAGE-REFUSED: .* was changed while it was used"):
        image.check_unchanged()


def test_image_that_is_replaced_properly_goes_on(opened: Opener) -> None:
    image = opened(b"\1" * 4096)
    other = Path(image.path).with_suffix(".new")
    other.write_bytes(b"\2" * 4096)
    other.rename(image.path)
    image.check_unchanged()
    assert content_of(image) == b"\1" * 4096


def test_nothing_stays_open_after_a_refusal(opened: Opener) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(ProviderError):
        opened(b"QED\0".ljust(4096, b"\0"))
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_closing_twice(opened: Opener) -> None:
    image = opened(b"\1" * 4096)
    image.close()
    image.close()


def test_map_walk_is_cancelled(opened: Opener) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(ProviderError, match="E-INTERRUPTED"):
        opened(b"\1" * 4096).check_map(cancel)


def test_an_iso_is_for_the_drive() -> None:
    with pytest.raises(ProviderError, match="-H cdrom_image_path"):
        decide(("iso",))


@pytest.mark.programs
@pytest.mark.parametrize(
    ("declared", "head", "looks"), [("raw+gz", b"\xfd7zXZ\0", "xz"), ("raw+zst", b"QFI\xfb\0\0\0\3", "qcow2")]
)
def test_a_declared_compression_that_it_is_not(tmp_path: Path, declared: str, head: bytes, looks: str) -> None:
    (tmp_path / "image").write_bytes(head.ljust(4096, b"\1"))
    with pytest.raises(ProviderError, match=f"but looks like {looks}; give the image_format it has"):
        open_image("image", places=Places(str(tmp_path), ()), image_format=declared)
