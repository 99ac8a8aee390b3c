"""The swap header: byte by byte what mkswap writes"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helper_agent.disk import swap

UUID = "3f2b1c52-8a55-4f3c-9a0e-0d7b6b1c2d3e"


@pytest.mark.programs
@pytest.mark.parametrize("size", [40 * 1024, 64 * 1024 * 1024, 64 * 1024 * 1024 + 512])
def test_as_mkswap(size: int, tmp_path: Path) -> None:
    disk = tmp_path / "swap"
    with disk.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkswap", "-U", UUID, disk], check=True, capture_output=True)
    assert disk.read_bytes()[:4096] == swap.header(size, UUID)


@pytest.mark.parametrize(("size", "uuid"), [(36 * 1024, UUID), (1 << 20, ""), (1 << 20, "no")])
def test_refused(size: int, uuid: str) -> None:
    with pytest.raises(ValueError):
        swap.header(size, uuid)
