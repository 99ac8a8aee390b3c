"""Compressed images from the file to a system that the real helper has customised"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.host.image.packing import PACK
from tests.vm import disks
from tests.vm.deploying import Node, looked_at

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("packed", ["raw+gzip", "raw+xz", "raw+zstd", "qcow2+bzip2"])
def test_a_compressed_image(tmp_path: Path, helper_image: Path, packed: str) -> None:
    node = Node(tmp_path, helper_image)
    node.settings["cache_folder"] = str(tmp_path / "cache")
    image = disks.build(tmp_path / "image.raw", "gpt", "ext4")
    plain, compression = packed.split("+")
    if plain != "raw":
        subprocess.run(["qemu-img", "convert", "-O", plain, image.path, tmp_path / plain], check=True)
    (tmp_path / "image").write_bytes(
        PACK[compression]((tmp_path / ("image.raw" if plain == "raw" else plain)).read_bytes())
    )
    disk = node.disk(400)
    deployed = node.create(disk, image=str(tmp_path / "image"))
    deployed.succeeded()
    assert f": {packed}, " in deployed.log
    with looked_at(disk.path, image.root.offset, 0, "ext4", tmp_path) as root:
        assert (root / "etc/hostname").read_text() == "web\n"
