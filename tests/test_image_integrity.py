"""docs/image-integrity.md can be followed to the letter, and what was published then is what a node takes"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from helper_host import settings
from helper_host.errors import CODES
from helper_host.ganeti import parameters
from helper_host.image.integrity.base import Integrity
from helper_host.image.integrity.resolve import resolve
from helper_host.image.opening import open_image
from helper_host.image.sources import Places
from tests.manual import HERE
from tests.manual.walk import Step, Walk, steps

PAGE = HERE / "docs" / "image-integrity.md"
NODE = "/etc/ganeti/instance-helper"


class Followed:
    """A publisher's folder, which is a node's image store too, and the node's settings"""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.node = home / "node"
        self.images = home / "images"
        self.images.mkdir()
        for name in ("debian-12.raw", "debian-12.qcow2"):
            (self.images / name).write_bytes(name.encode().ljust(4096, b"\0"))
        # a publisher types a passphrase; here there is none
        (home / ".gnupg").mkdir(mode=0o700)
        (home / ".gnupg" / "gpg.conf").write_text('batch\npinentry-mode loopback\npassphrase ""\n')
        walk = Walk(self.images, {"HOME": str(home)}, leave=lambda _line: False)
        for step in steps(PAGE):
            walk.take(Step(step.file, step.text.replace(NODE, str(self.node)), step.remark))
        self.output = walk.output

    def resolve(self, text: str, image: str = "debian-12.raw") -> Integrity:
        """What the node makes of `-O image=...,TEXT` with the page's settings"""
        document = PAGE.read_text(encoding="utf-8")
        table = re.search(r"```toml\n(.*?)```", document, re.S)
        assert table
        self.node.mkdir(exist_ok=True)
        (self.node / "config.toml").write_text(f'keyrings = "{self.node}/keyrings"\n{table[1]}')
        loaded = settings.load(folder=str(self.node))
        given = dict(item.split("=", 1) for item in text.split(",") if item)
        environ = {f"OSP_{name.upper()}": value for name, value in {"image": image, **given}.items()}
        return resolve(parameters.parse(environ, loaded.parameters), loaded, self.places, lambda _line: None)

    @property
    def places(self) -> Places:
        return Places(str(self.images), ())


@pytest.fixture(scope="module")
def followed() -> Iterator[Followed]:
    # the agent's socket wants a short name
    home = tempfile.mkdtemp(prefix="gih-page-", dir="/tmp")
    try:
        yield Followed(Path(home))
    finally:
        subprocess.run(["gpgconf", "--homedir", f"{home}/.gnupg", "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.programs
def test_what_was_published_is_taken(followed: Followed) -> None:
    assert "debian-12.raw: OK" in followed.output
    assert "Good signature" in followed.output
    for image in ("debian-12.raw", "debian-12.qcow2"):
        integrity = followed.resolve("", image)
        assert len(integrity.sha256) == 64
        assert [check.name for check in integrity.checks] == ["sha256"]
    opened = open_image("debian-12.raw", places=followed.places, image_format="raw", integrity=followed.resolve(""))
    assert opened is not None
    with opened:
        opened.verify(lambda _done, _total: None, threading.Event())


@pytest.mark.programs
def test_every_way_of_the_table_is_taken(followed: Followed) -> None:
    ways = re.findall(r"`(image_(?:checksum|signature)=[^`]*)`", PAGE.read_text(encoding="utf-8").split("## ")[0])
    assert len(ways) == 7
    for way in ways:
        if "..." in way or "https" in way:
            continue
        given = way if "image_checksum" in way else f"image_checksum=,{way}"
        given = given if "image_signature" in way else f"{given},image_signature=SHA256SUMS.asc"
        assert followed.resolve(given).checks, way


def test_the_codes_exist() -> None:
    assert set(re.findall(r"E-[A-Z-]+", PAGE.read_text(encoding="utf-8"))) <= set(CODES)
