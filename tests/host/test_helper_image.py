"""The helper image on the node: every way in which it can be wrong is said before a VM starts"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helper_agent import registry
from helper_agent.protocol import PROTOCOL_VERSION
from helper_host import helper_image
from helper_host.errors import ProviderError
from tests.host.manifests import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {name: name.encode() * 1000 for name in (helper_image.KERNEL, helper_image.INITRD, helper_image.ROOT)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest(files)))
    return tmp_path


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    edit(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_whole_one_is_accepted(folder: Path) -> None:
    image = helper_image.load(str(folder))
    assert image.kernel.path == str(folder / "vmlinuz")
    helper_image.verify(image, str(folder), threading.Event())


def test_the_tasks_are_those_of_the_agent(folder: Path) -> None:
    tasks = helper_image.load(str(folder)).tasks
    assert [row.task for row in tasks] == [entry.task for entry in registry.load()]
    assert {row.source for row in tasks} == {helper_image.BUILT_IN}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda row: row.pop("heading"), "heading"),
        (lambda row: row["task"].update(colour="red"), "of another form"),
        (lambda row: row["task"].update(api=99), "version 99 of the task API"),
        (lambda row: row["task"].update(options=None), "not a manifest"),
        (lambda row: row.update(task=None), "not a manifest"),
    ],
)
def test_a_task_that_is_none(folder: Path, edit: Callable[[dict[str, Any]], object], words: str) -> None:
    change(folder, lambda found: edit(found["tasks"][0]))
    with pytest.raises(ProviderError, match=f"E-HELPER-IMAGE: .*{words}"):
        helper_image.load(str(folder))


@pytest.mark.parametrize("name", ["manifest.json", "vmlinuz", "initrd.img", "root.erofs"])
def test_a_missing_part(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ProviderError, match=f"E-HELPER-IMAGE: .*{name}"):
        helper_image.load(str(folder))


@pytest.mark.parametrize("name", ["vmlinuz", "initrd.img", "root.erofs"])
def test_a_part_cut_short(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"short")
    with pytest.raises(ProviderError, match=f"E-HELPER-IMAGE: .*{name} has 5 bytes"):
        helper_image.load(str(folder))


@pytest.mark.parametrize("name", ["vmlinuz", "initrd.img", "root.erofs"])
def test_one_flipped_bit(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[100] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ProviderError, match=f"E-HELPER-IMAGE: .*{name} is damaged"):
        helper_image.verify(helper_image.load(str(folder)), str(folder), threading.Event())


def test_another_protocol(folder: Path) -> None:
    change(folder, lambda found: found.update(protocol=PROTOCOL_VERSION + 1))
    with pytest.raises(ProviderError, match="speaks protocol"):
        helper_image.load(str(folder))


@pytest.mark.parametrize("key", ["format", "suite", "files", "protocol", "tasks"])
def test_a_manifest_with_a_key_missing(folder: Path, key: str) -> None:
    change(folder, lambda found: found.pop(key))
    with pytest.raises(ProviderError, match="not a manifest of ours"):
        helper_image.load(str(folder))


def test_what_was_found_whole_is_not_hashed_again_until_it_changes(folder: Path, tmp_path: Path) -> None:
    image = helper_image.load(str(folder))
    runs = tmp_path / "runs"
    runs.mkdir()
    helper_image.verify(image, str(runs), threading.Event())
    began = (folder / "root.erofs").stat()
    # the file's own times can be set back, the change time can't
    content = bytearray((folder / "root.erofs").read_bytes())
    content[100] ^= 1
    (folder / "root.erofs").write_bytes(content)
    os.utime(folder / "root.erofs", ns=(began.st_atime_ns, began.st_mtime_ns))
    with pytest.raises(ProviderError, match="damaged"):
        helper_image.verify(image, str(runs), threading.Event())


def test_the_memory_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = helper_image.load(str(folder))
    helper_image.verify(image, str(folder), threading.Event())
    monkeypatch.setattr(helper_image, "_sha256", lambda *_: pytest.fail("hashed again"))
    helper_image.verify(image, str(folder), threading.Event())
