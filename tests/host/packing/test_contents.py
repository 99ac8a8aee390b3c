"""What the node packs for an instance: files that its parameters name, and overlays"""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import pytest

from helper_host import packing
from helper_host.errors import ProviderError
from helper_host.ganeti.parameters import parse_values
from helper_host.packing import overlay
from helper_host.packing.archive import SIZE_MAX, Archive
from helper_host.settings import Settings

TASKS = ("files", "overlay")
PERSONALITY = '[{"path": "/srv/app/key", "contents": "aGVsbG8K", "owner": "web"}]'


class Node:
    """The folders of files and overlays"""

    def __init__(self, folder: Path) -> None:
        self.files, self.overlays = folder / "files", folder / "overlays"
        for each in (self.files, self.overlays):
            each.mkdir()
            each.chmod(0o755)

    def put(self, path: str, content: bytes = b"x\n", mode: int = 0o644) -> Path:
        file = self.overlays / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
        return file

    def pack(self, **given: str) -> dict[str, tarfile.TarFile]:
        settings = Settings.of(overlay_folder=str(self.overlays), files_folder=str(self.files))
        found: Mapping[str, Mapping[str, Archive]] = packing.contents(parse_values(given), settings, TASKS)
        content = {name: options["archive"].open().read() for name, options in found.items()}
        return {name: tarfile.open(fileobj=io.BytesIO(each)) for name, each in content.items()}

    def refused(self, code: str, **given: str) -> str:
        with pytest.raises(ProviderError) as caught:
            self.pack(**given)
        assert caught.value.code == code
        return str(caught.value)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def names(tar: tarfile.TarFile) -> list[str]:
    return [f"/{name}" for name in tar.getnames()]


def test_nothing_asked_for(node: Node) -> None:
    assert node.pack(hostname="web") == {}
    assert packing.contents(parse_values({"file0": "/a=b"}), Settings.of(), ()) == {}


def test_files_in_their_order(node: Node) -> None:
    (node.files / "app.conf").write_bytes(b"from the node\n")
    tar = node.pack(
        file1="/etc/app.conf:0640:root:www-data=@app.conf", file0="/etc/motd=hi", img_personality=PERSONALITY
    )["files"]
    assert names(tar) == ["/srv", "/srv/app", "/srv/app/key", "/etc/motd", "/etc/app.conf"]
    assert tar.getmember("srv").mode == 0o750
    assert tar.getmember("srv/app").uname == "web"
    assert tar.getmember("etc/app.conf").mode == 0o640
    content = tar.extractfile("etc/app.conf")
    assert content is not None
    assert content.read() == b"from the node\n"


def test_a_file_that_the_node_does_not_have(node: Node) -> None:
    text = node.refused("E-PARAMETER", file3="/etc/app.conf=@app.conf")
    assert "'file3'" in text
    assert "app.conf on this node" in text


def test_a_files_folder_of_anybodys(node: Node) -> None:
    (node.files / "app.conf").touch()
    node.files.chmod(0o777)
    assert "can be written by others" in node.refused("E-SETTINGS", file0="/a=@app.conf")


def test_a_symlink_among_the_files(node: Node, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("secret")
    (node.files / "app.conf").symlink_to(tmp_path / "shadow")
    assert "is a symlink" in node.refused("E-SETTINGS", file0="/a=@app.conf")


def test_overlays_one_over_the_other(node: Node) -> None:
    node.put("base/etc/motd", b"base\n")
    node.put("base/etc/issue", b"base\n", 0o600)
    node.put("web/etc/motd", b"web\n")
    os.symlink("/etc/shadow", node.overlays / "web/etc/link")
    (node.overlays / "web/srv").mkdir(mode=0o711)
    tar = node.pack(overlay="base web")["overlay"]
    assert names(tar) == ["/etc", "/etc/issue", "/etc/motd", "/etc", "/etc/link", "/etc/motd", "/srv"]
    link = tar.getmember("etc/link")
    assert (link.issym(), link.linkname) == (True, "/etc/shadow")
    assert tar.getmember("etc/issue").mode == 0o600


def test_an_overlay_that_is_not_there(node: Node) -> None:
    assert "overlays/web on this node" in node.refused("E-PARAMETER", overlay="web")


def test_an_overlay_that_is_a_symlink(node: Node) -> None:
    (node.overlays / "web").symlink_to("/etc")
    assert "is no folder" in node.refused("E-SETTINGS", overlay="web")


def test_an_overlay_of_anybodys(node: Node) -> None:
    node.put("web/etc/motd")
    (node.overlays / "web").chmod(0o777)
    assert "can be written by others" in node.refused("E-SETTINGS", overlay="web")


def test_an_overlay_with_a_fifo(node: Node) -> None:
    node.put("web/etc/motd")
    os.mkfifo(node.overlays / "web/etc/fifo")
    assert "is neither file, folder nor symlink" in node.refused("E-SETTINGS", overlay="web")


@pytest.mark.root
def test_owners_and_attributes(node: Node) -> None:
    file = node.put("web/srv/own")
    os.chown(file, 4711, 4712)
    os.setxattr(file, "user.comment", b"\0\xff")
    os.setxattr(file, "trusted.secret", b"of this node")
    found = node.pack(overlay="web")["overlay"].getmember("srv/own")
    assert (found.uid, found.gid) == (4711, 4712)
    kept = {name: value for name, value in found.pax_headers.items() if name.startswith("SCHILY")}
    assert kept == {"SCHILY.xattr.user.comment": b"\0\xff".decode("utf-8", "surrogateescape")}


def test_too_much(node: Node) -> None:
    with node.put("web/large").open("wb") as file:
        file.truncate(SIZE_MAX + 1)
    assert "and 64 MiB" in node.refused("E-PARAMETER", overlay="web")


def test_it_takes_one_file_of_memory_at_a_time(node: Node) -> None:
    for number in range(8):
        node.put(f"web/part{number}", os.urandom(1) * (6 << 20))
    tracemalloc.start()
    packed = overlay.pack(("web",), str(node.overlays))
    assert packed is not None
    assert packed.size > 48 << 20
    stream = packed.open()
    while stream.read(1 << 16):
        pass
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()
