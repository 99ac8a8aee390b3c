"""A disk with partitions is no filesystem: refused where nobody has said what it is"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.image.opening import open_image
from helper_host.image.partitioning import bare
from helper_host.image.partitioning.gpt import Gpt
from helper_host.image.partitioning.msdos import Msdos, entry
from helper_host.image.sources import Places

MIB = 1 << 20


def sector(*entries: bytes, start: bytes = b"") -> bytes:
    table = b"".join(entries).ljust(64, b"\0")
    return start.ljust(446, b"\0") + table + b"\x55\xaa"


LINUX = entry(0x80, 0x83, 2048, 4096)


@pytest.mark.parametrize(
    "head",
    [
        sector(LINUX),
        sector(entry(0, 0xEE, 1, 4096)),
        sector(bytes(16), entry(0, 7, 63, 9)),
        Msdos().head(MIB),
        Gpt().head(MIB),
        bytes(512) + b"EFI PART",
        bytes(4096) + b"EFI PART",
        sector(LINUX, start=b"\xeb\x63\x90 a boot loader"),
    ],
)
def test_a_disk_is_refused(head: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        bare.check(head[: bare.PEEK])
    assert caught.value.code == "E-IMAGE-REFUSED"
    assert "partition table" in caught.value.cause
    assert "image_format=raw" in caught.value.remedy


@pytest.mark.parametrize(
    "head",
    [
        b"",
        bytes(100),
        bytes(bare.PEEK),
        sector(),
        sector(start=b"\xeb\x52\x90NTFS    "),
        sector(LINUX, start=b"\xeb\x52\x90NTFS    "),
        sector(LINUX, start=b"\xeb\x58\x90mkfs.fat".ljust(82, b"\0") + b"FAT32   "),
        sector(LINUX, start=b"\xeb\x3c\x90mkfs.fat".ljust(54, b"\0") + b"FAT16   "),
        sector(entry(0x24, 18, 15, 9)),
        sector(entry(0, 0x83, 0, 9)),
        sector(entry(0, 0, 2048, 9)),
    ],
)
def test_a_boot_sector_is_none(head: bytes) -> None:
    bare.check(head)


@pytest.mark.programs
@pytest.mark.parametrize("label", ["dos", "gpt"])
@pytest.mark.parametrize("file_format", ["raw", "qcow2"])
def test_what_tools_make(tmp_path: Path, label: str, file_format: str) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(8 * MIB))
    subprocess.run(["sfdisk", "-q", str(path)], input=f"label: {label}\n2048,,\n".encode(), check=True)
    if file_format == "qcow2":
        path.rename(tmp_path / "raw")
        argv = ["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", "-c", str(tmp_path / "raw"), str(path)]
        subprocess.run(argv, check=True)
    places = Places(str(tmp_path), (str(tmp_path),))
    with pytest.raises(ProviderError, match="E-IMAGE-REFUSED: The image has a partition table"):
        open_image(str(path), places=places, frame=Msdos())
    # whoever says what it is, is believed
    image = open_image(str(path), places=places, frame=Msdos(), image_format=file_format)
    assert image is not None
    image.close()
