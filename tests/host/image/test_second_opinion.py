"""oslo.utils' format_inspector over the same images: what it rejects is never accepted here

Exceptions, each for a reason:
- raw asked for explicitly: its bytes are never interpreted, so there is nothing to reject;
- qcow2 with extended L2 entries: the inspector doesn't know that feature bit yet, our reader does;
- a fixed vhd whose disk has a boot sector: to the inspector, which doesn't look at a file's end, that is a raw disk;
- a partition table that is odd: it is on the disk either way, and the helper judges it, not the node.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helper_host.errors import ProviderError
from helper_host.image.formats import FORMATS
from helper_host.image.formats.magic import MAGICS
from helper_host.image.image import Image

from .builders import CLUSTER, EXTENDED_L2, MIB, qcow2
from .conftest import Opener
from .corpus import CASES, SMALL
from .test_block_formats import BAD, DAMAGED, GOOD, MADE, WHERE, repaired
from .test_qcow2 import HEADERS, MAPS

inspector = pytest.importorskip("oslo_utils.imageutils.format_inspector")
READ_HERE = {row.name for row in FORMATS}
logging.getLogger("oslo_utils").setLevel(logging.CRITICAL)


def rejected(path: Path) -> bool:
    """The inspector's verdict, any failure of its own being one, too; a raw disk may have a partition table"""
    try:
        found = inspector.detect_file_format(str(path))
        if str(found) == "gpt":
            return False
        found.safety_check()
    except Exception:
        return True
    return str(found) not in READ_HERE


def accepted(opened: Opener, content: bytes) -> Image | None:
    try:
        image = opened(content)
        image.check_map(threading.Event())
    except ProviderError:
        return None
    return image


def compare(opened: Opener, folder: str, content: bytes) -> None:
    image = accepted(opened, content)
    if image is None:
        return
    image.close()
    path = Path(folder) / "image"
    assert path.read_bytes() == content
    assert not rejected(path)


@pytest.mark.parametrize("case", [*HEADERS, *MAPS])
def test_bad_qcow2(opened: Opener, places: Any, case: str) -> None:
    compare(opened, places.folders[0], qcow2(**(HEADERS | MAPS)[case][0]))


@pytest.mark.parametrize("magic", MAGICS, ids=lambda magic: f"{magic.format}@{magic.offset}")
@pytest.mark.parametrize("base", ["zeros", "qcow2"])
def test_signatures(opened: Opener, places: Any, magic: Any, base: str) -> None:
    content = bytearray(qcow2() if base == "qcow2" else bytes(MIB))
    start = magic.offset % len(content)
    content[start : start + len(magic.signature)] = magic.signature
    compare(opened, places.folders[0], bytes(content[:MIB]))


def test_good_images_please_both(opened: Opener, places: Any) -> None:
    for content in (qcow2(), qcow2(version=2), b"\1" * MIB):
        assert accepted(opened, content) is not None
        assert not rejected(Path(places.folders[0]) / "image")


@pytest.mark.parametrize("case", GOOD)
def test_good_block_formats_please_both(opened: Opener, places: Any, case: str) -> None:
    _, content, _ = GOOD[case]
    assert accepted(opened, content) is not None
    assert not rejected(Path(places.folders[0]) / "image")


@pytest.mark.parametrize("case", [*BAD, *DAMAGED])
def test_bad_block_formats(opened: Opener, places: Any, case: str) -> None:
    compare(opened, places.folders[0], (BAD | {name: (content, "") for name, content in DAMAGED.items()})[case][0])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corpus(opened: Opener, places: Any, canary: Path, case: Any) -> None:
    """What it rejects of the corpus is refused, but what is too large for the disk is the writer's business"""
    image = accepted(opened, case.make(str(canary).encode()))
    assert image is None or case.code == SMALL
    if image is not None:
        assert not rejected(Path(places.folders[0]) / "image")


@pytest.mark.parametrize("name", MADE)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_header_of_a_block_format(opened: Opener, places: Any, name: str, data: st.DataObject) -> None:
    image = bytearray(MADE[name]())
    for offset, value in data.draw(st.lists(st.tuples(WHERE[name], st.integers(0, 255)), min_size=1, max_size=4)):
        image[offset] = value
    compare(opened, places.folders[0], repaired(name, image))


def test_exception_extended_l2(opened: Opener, places: Any) -> None:
    assert accepted(opened, qcow2(incompatible=EXTENDED_L2, l2={})) is not None
    assert rejected(Path(places.folders[0]) / "image"), "the inspector has learnt it: drop the exception"


BYTES = st.tuples(st.integers(0, 120) | st.sampled_from([510, 511, 0x8001, CLUSTER]), st.integers(0, 255))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(BYTES, min_size=1, max_size=4))
def test_any_header(opened: Opener, places: Any, changes: list[tuple[int, int]]) -> None:
    content = bytearray(qcow2(l2={}))
    for offset, value in changes:
        content[offset] = value
    if not content[79] & EXTENDED_L2:
        compare(opened, places.folders[0], bytes(content))
