"""Checksums: their syntax, holes, one flipped bit"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from helper_host.errors import ProviderError
from helper_host.ganeti.values import Invalid
from helper_host.image.integrity import checksum
from helper_host.image.integrity.base import Integrity
from helper_host.image.opening import open_image
from helper_host.image.sources import Places
from tests.host.image.conftest import Opener, quiet

DIGEST = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("text", [f"sha256:{DIGEST}", f"SHA256:{DIGEST.upper()}", f" sha256:{DIGEST}\n"])
def test_parse(text: str) -> None:
    assert checksum.parse(text) == checksum.Checksum("sha256", DIGEST)


def test_parse_sha512() -> None:
    assert checksum.parse(f"sha512:{'a' * 128}").algorithm == "sha512"


@pytest.mark.parametrize(
    "text", ["", DIGEST, f"md5:{DIGEST[:32]}", f"sha256:{DIGEST[:-1]}", f"sha256:{DIGEST[:-1]}g", f"sha512:{DIGEST}"]
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(Invalid, match="is not a checksum"):
        checksum.parse(text)


def test_holes_count_as_zeros(places: Places) -> None:
    path = Path(places.store) / "sparse"
    with path.open("wb") as file:
        file.truncate(10_000_001)
        file.seek(5_000_000)
        file.write(b"data")
    seen: list[int] = []
    right = checksum.parse(f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    image = open_image("sparse", places=places, integrity=Integrity((right,)))
    assert image is not None
    image.verify(lambda done, total: seen.append(done), threading.Event())
    assert seen == sorted(seen) and seen[-1] == 10_000_001


def test_verify(opened: Opener) -> None:
    content = b"\1" * 4096
    right = checksum.parse(f"sha256:{hashlib.sha256(content).hexdigest()}")
    opened(content, integrity=Integrity((right,))).verify(quiet, threading.Event())


def test_one_flipped_bit(opened: Opener) -> None:
    content = b"\1" * 4096
    right = checksum.parse(f"sha256:{hashlib.sha256(content).hexdigest()}")
    with pytest.raises(ProviderError, match="E-IMAGE-CHECKSUM"):
        opened(content[:2000] + b"\0" + content[2001:], integrity=Integrity((right,))).verify(quiet, threading.Event())


def test_cancel(opened: Opener) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(ProviderError, match="E-INTERRUPTED"):
        opened(b"\1" * 4096, integrity=Integrity((checksum.parse(f"sha256:{DIGEST}"),))).verify(quiet, cancel)
