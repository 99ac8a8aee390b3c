"""Signatures: each what blkid says of a filesystem its own tool made, and no exception whatever the bytes"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_agent.disk.medium import Medium
from helper_agent.disk.signatures import probe

UUID = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"
MADE = {
    "ext2": ["mkfs.ext2", "-q", "-F", "-L", "my label", "-U", UUID],
    "ext3": ["mkfs.ext3", "-q", "-F", "-L", "my label", "-U", UUID],
    "ext4": ["mkfs.ext4", "-q", "-F", "-L", "my label", "-U", UUID],
    "ext4-without-journal": ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-U", UUID],
    "ext4-1k": ["mkfs.ext4", "-q", "-F", "-b", "1024", "-U", UUID],
    "xfs": ["mkfs.xfs", "-q", "-L", "mylabel", "-m", f"uuid={UUID}"],
    "btrfs": ["mkfs.btrfs", "-q", "-L", "my label", "-U", UUID],
    "swap": ["mkswap", "-L", "my label", "-U", UUID],
    "fat12": ["mkfs.vfat", "-F", "12", "-n", "MYLABEL", "-i", "12ABCDEF"],
    "fat16": ["mkfs.vfat", "-F", "16", "-n", "MYLABEL", "-i", "12ABCDEF"],
    "fat32": ["mkfs.vfat", "-F", "32", "-i", "12ABCDEF"],
}


@pytest.mark.programs
@pytest.mark.parametrize("name", MADE)
def test_as_blkid_says(name: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        # FAT12 ends at 4085 clusters of 32 KiB, XFS starts at 300 MiB
        file.truncate((16 if name == "fat12" else 320) << 20)
    subprocess.run([*MADE[name], disk], check=True, capture_output=True)
    told = subprocess.run(["blkid", "-p", "-o", "export", disk], check=True, capture_output=True, text=True).stdout
    fields = dict(line.replace("\\ ", " ").split("=", 1) for line in told.splitlines())
    with Medium(str(disk)) as medium:
        assert probe(medium, 0, medium.size) == (fields["TYPE"], fields.get("UUID", ""), fields.get("LABEL", ""))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 4096, 70_000])
def test_small_and_empty(size: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(size))
    with Medium(str(disk)) as medium:
        assert probe(medium, 0, medium.size) is None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from([0, 3, 54, 82, 510, 512, 1024, 1080, 4086, 4096, 4120, 32769, 65568, 65600]),
            st.one_of(
                st.binary(max_size=64),
                st.sampled_from([b"\x53\xef", b"XFSB", b"_BHRfS_M", b"SWAPSPACE2", b"LUKS\xba\xbe", b"\x55\xaa"]),
            ),
        ),
        max_size=6,
    )
)
def test_hostile_bytes(changes: list[tuple[int, bytes]], tmp_path: Path) -> None:
    content = bytearray(70_000)
    for offset, some in changes:
        content[offset : offset + len(some)] = some
    disk = tmp_path / "disk"
    disk.write_bytes(content)
    with Medium(str(disk)) as medium:
        found = probe(medium, 0, medium.size)
    assert found is None or all(isinstance(one, str) for one in found)
